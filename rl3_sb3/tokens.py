"""Turn observations into tokens, and define which part of a token the actor reads.

A token is one flattened observation: numbers unchanged (pixels divided by 255), one of n states as
a one-hot vector, counted from the space's start. A `Dict` is flattened in the sorted order of its
keys. One key may be for the critic only. It then comes last, so that the actor's part is
contiguous:

    token = [ the actor's part | the critic's own ],        actor(token[:n]),   critic(token)

The actor's part is a view of the token, not a copy. Where the critic's own part is not available,
the policy acts on the actor's part alone.
"""

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, preprocess_obs
from stable_baselines3.common.type_aliases import PyTorchObs
from torch.nn import functional as F


class Tokens:
    """The tokens of an observation space.

    Args:
        space: A space supported by `check_observation_space`.
        critic_only: The key of a `Dict` that only the critic reads; "" for none.

    Attributes:
        size: Length of a token.
        actor_size: Length of the actor's part.
        actor_space: The space that the actor sees, without the critic's own part. If one key of a
            `Dict` is left, the space at this key.

    Raises:
        ValueError: The space is not supported, or it does not have the key `critic_only` and
            another one.
    """

    def __init__(self, space: spaces.Space[Any], critic_only: str = "") -> None:
        check_observation_space(space)
        self._space = space
        self._critic_only = critic_only
        self._keys = sorted(space.spaces) if isinstance(space, spaces.Dict) else []
        self.actor_space = space
        self._only_key = ""  # the key that the actor reads, if there is just one
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
            obs: A tensor of shape (B, *shape), or a dictionary of such tensors, in which the
                critic's own part may be missing.

        Returns:
            Shape (B, size), float32; without the critic's own part (B, actor_size).

        Raises:
            ValueError: A state is outside its space.
        """
        if not isinstance(self._space, spaces.Dict):
            assert isinstance(obs, th.Tensor), f"{self._space} needs arrays, got {type(obs)}"
            return _flat(obs, self._space)
        assert isinstance(obs, dict), f"a Dict space needs dict observations, got {type(obs)}"
        keys = self._keys if self._critic_only in ("", *obs) else self._keys[:-1]
        return th.cat([_flat(obs[key], self._space[key]) for key in keys], dim=1)

    def named(self, observation: Any) -> Any:
        """Return an observation as a dictionary if it is the bare value of the actor's only key."""
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
                "read it (`critic_only`), got observations without it. Only `predict` works then."
            )


def check_observation_space(space: spaces.Space[Any]) -> None:
    """Raise ValueError unless observations of this space can become tokens."""
    parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
    known = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
    for key, part in parts.items():
        where = f" at {key!r}" if isinstance(space, spaces.Dict) else ""
        if not isinstance(part, known):
            raise ValueError(
                "`observation_space` must be a Box, Discrete, MultiDiscrete, MultiBinary, or a "
                f"Dict of these, got {part}{where}. Wrap the environment in "
                "gymnasium.wrappers.FlattenObservation, or return numbers."
            )
        if isinstance(part, spaces.MultiDiscrete) and part.nvec.ndim != 1:
            raise ValueError(
                f"`observation_space` must have MultiDiscrete parts of one axis, got {part}{where}."
                " Wrap the environment in gymnasium.wrappers.FlattenObservation."
            )
    if sum(int(get_flattened_obs_dim(part)) for part in parts.values()) == 0:
        raise ValueError(
            f"`observation_space` must hold at least one number, got {space}. Return a constant "
            "if there is nothing to observe."
        )


def _flat(obs: th.Tensor, space: spaces.Space[Any]) -> th.Tensor:
    """Return observations, (B, *shape), of a space that is not a Dict as (B, size) numbers."""
    if isinstance(space, spaces.Discrete):
        return _one_hot(obs, int(space.n), int(space.start), space).flatten(1)
    if isinstance(space, spaces.MultiDiscrete):
        columns = zip(obs.unbind(1), space.nvec.tolist(), space.start.tolist(), strict=True)
        return th.cat([_one_hot(x, n, start, space) for x, n, start in columns], dim=1)
    numbers = preprocess_obs(obs, space)
    assert isinstance(numbers, th.Tensor), "one space gives one tensor"
    return numbers.flatten(1) if numbers.ndim > 1 else numbers.unsqueeze(1)


def _one_hot(states: th.Tensor, n: int, start: int, space: spaces.Space[Any]) -> th.Tensor:
    """Return states start, ..., start + n - 1 as one-hot vectors."""
    numbers = states.long() - start if start else states.long()
    try:
        return F.one_hot(numbers, n).float()
    except RuntimeError:
        outside = ((numbers < 0) | (numbers >= n)).flatten()
        if not bool(outside.any()):
            raise
        row = int(outside.nonzero()[0])
        raise ValueError(
            f"`env` must give observations in its space, got {int(states.flatten()[row])} in row "
            f"{row} of a batch, outside {space}. Correct the environment, or its space."
        ) from None


def _check(space: spaces.Space[Any], critic_only: str) -> None:
    """Raise ValueError unless this is one of several keys of a Dict."""
    if not isinstance(space, spaces.Dict):
        raise ValueError(
            f"`critic_only` must be left out if observations are not a Dict, got {critic_only!r} "
            f"for {space}. Let the environment return a Dict with the critic's own part at a key."
        )
    if critic_only not in space.spaces:
        raise ValueError(
            f"`critic_only` must be a key of the observations, {', '.join(sorted(space.spaces))}, "
            f"got {critic_only!r}."
        )
    if len(space.spaces) == 1:
        raise ValueError(
            f"`critic_only` must be one key of several, got {critic_only!r}, the only one: nothing "
            "would be left for the actor. Leave it out, or add a key for the actor."
        )
