"""How an observation becomes a token, and which part of a token the actor reads.

A token is one flattened observation; a `Dict` is flattened in the sorted order of its keys. One key
may be the critic's alone. It comes last then, so that what the actor reads is one piece,

    token = [ the actor's part | the critic's own ],        actor(token[:n]),   critic(token),

a view of the whole token and no copy of it. The actor's part alone is what a policy acts on where
nobody gives the rest.
"""

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, preprocess_obs
from stable_baselines3.common.type_aliases import PyTorchObs


class Tokens:
    """The tokens of an observation space.

    Args:
        space: Any that SB3 can preprocess.
        critic_only: The key of a `Dict` that only the critic reads; "" for none.

    Attributes:
        size: Length of a token.
        actor_size: Length of what the actor reads of it.
        actor_space: What the actor sees: the space without the critic's own part. A `Dict` of
            which a single key is left is the space at this key.

    Raises:
        ValueError: The space has no such key, or no other.
    """

    def __init__(self, space: spaces.Space[Any], critic_only: str = "") -> None:
        self._space = space
        self._critic_only = critic_only
        self._keys = sorted(space.spaces) if isinstance(space, spaces.Dict) else []
        self.actor_space = space
        self._only_key = ""  # of an actor that reads a single one
        self.actor_size = self.size = int(get_flattened_obs_dim(space))
        if critic_only == "":
            return
        _check(space, critic_only)
        assert isinstance(space, spaces.Dict), "just checked"
        self._keys.remove(critic_only)
        self.actor_size -= int(get_flattened_obs_dim(space[critic_only]))
        if len(self._keys) == 1:
            (self._only_key,) = self._keys
            self.actor_space = space[self._only_key]
        else:
            self.actor_space = spaces.Dict({key: space[key] for key in self._keys})
        self._keys.append(critic_only)

    def of(self, obs: PyTorchObs) -> th.Tensor:
        """Return a batch of observations as tokens.

        Args:
            obs: A tensor of shape (B, *shape), or a dictionary of them, which may lack the critic's
                own part.

        Returns:
            Shape (B, size), float32; without the critic's own part (B, actor_size).
        """
        if not isinstance(self._space, spaces.Dict):
            features = preprocess_obs(obs, self._space)
            assert isinstance(features, th.Tensor), "one space gives one tensor"
            return features.flatten(1)
        assert isinstance(obs, dict), f"a Dict space needs dict observations, got {type(obs)}"
        keys = self._keys if self._critic_only in ("", *obs) else self._keys[:-1]
        parts = [
            preprocess_obs(obs[key], self._space[key]).flatten(1)  # type: ignore[union-attr]
            for key in keys
        ]
        return th.cat(parts, dim=1)

    def named(self, observation: Any) -> Any:
        """Return an observation under its key, if it came bare because the actor reads one key."""
        if self._only_key and not isinstance(observation, dict):
            return {self._only_key: observation}
        return observation

    def for_actor(self, tokens: th.Tensor) -> th.Tensor:
        """Return the actor's part, (..., actor_size), of tokens (..., size or actor_size)."""
        return tokens[..., : self.actor_size] if self._critic_only else tokens

    def require_whole(self, tokens: th.Tensor) -> None:
        """Raise ValueError if the critic's own part is missing from tokens."""
        if self._critic_only and tokens.shape[-1] != self.size:
            raise ValueError(
                f'`obs` must have the key "{self._critic_only}" for the critic, which was made to '
                "read it (`critic_only`), got observations without. Only `predict` can do without."
            )


def _check(space: spaces.Space[Any], critic_only: str) -> None:
    """Raise ValueError unless this is a key of a Dict beside others."""
    if not isinstance(space, spaces.Dict):
        raise ValueError(
            f"`critic_only` must be left out where observations are no Dict, got {critic_only!r} "
            f"for {space}. Let the environment give a Dict with the critic's own part at a key."
        )
    if critic_only not in space.spaces:
        raise ValueError(
            f"`critic_only` must be a key of the observations, {', '.join(sorted(space.spaces))}, "
            f"got {critic_only!r}."
        )
    if len(space.spaces) == 1:
        raise ValueError(
            f"`critic_only` must be one key of several, got {critic_only!r}, the only one: nothing "
            "would be left for the actor. Leave it out, or give the actor a key of its own."
        )
