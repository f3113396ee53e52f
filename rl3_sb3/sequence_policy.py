"""The base class of actor-critic policies with memory, for Stable-Baselines3.

Actor and critic are separate networks over the same tokens. A token is one flattened observation,
so everything that the policy should remember (previous action, previous reward, clocks) must be
part of the observation. Acting runs only the actor and keeps its memory in SB3's opaque recurrent
`state` (`predict(obs, state, episode_start)`). Training runs both over whole sequences.

One part of the observation may be for the critic only (see `rl3_sb3.tokens`): something known in
training, but not where the policy acts. The policy gradient stays unbiased, because the actor never
sees that part, and becomes less noisy, because the critic explains what the actor cannot know.

Subclasses in `rl3_sb3.policy` choose the networks.

An action distribution is represented by a flat vector of *distribution parameters*: the logits of a
categorical distribution, or mean and log standard deviation of a diagonal Gaussian. PPO stores
them, because the exact KL divergence needs the behaviour policy's whole distribution. With action
masks, they are the parameters of the distribution over the allowed actions.
"""

import difflib
import inspect
import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution as SB3Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import get_device, obs_as_tensor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs
from torch import nn
from torch.distributions import Distribution

from rl3_sb3.action_masks import as_masks
from rl3_sb3.distribution import (
    action_distribution,
    check_action_space,
    divergence,
    n_outputs,
    only_allowed,
    sample_actions,
)
from rl3_sb3.networks.network import Memory, Network, Tensors
from rl3_sb3.networks.network_class import named_arguments
from rl3_sb3.tokens import Tokens

if TYPE_CHECKING:
    from rl3_sb3.policy_files.record import TrainingRecord

# SB3's gain for the policy's last layer, with which the first policy is nearly uniform.
_ACTION_HEAD_GAIN = 0.01

Observation = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]


class SequencePolicy(ActorCriticPolicy):
    """An actor and a critic of the same kind of network, with one Adam optimizer for both.

    Args:
        observation_space: A `Box`, `Discrete`, `MultiDiscrete` or `MultiBinary`, or a `Dict` of
            these, which is flattened in the sorted order of its keys.
        action_space: `Discrete` (starting at 0) or `Box`.
        lr_schedule: SB3's learning rate schedule; its value at 1 is used first.
        use_sde: Must be False; part of SB3's signature.
        critic_weight_decay: L2 penalty added to the critic's gradients (not the actor's), at least
            0.
        adam_eps: Adam's epsilon, above 0.
        log_std_init: Initial log standard deviation of `Box` actions.
        critic_only: The key of a `Dict` that only the critic sees; "" for none. The policy also
            acts on observations without this key, or, if one key is left, on its value alone.
        actor_only: Create no critic. The policy can act, but not be trained or return values.
        network_arguments: Arguments of both networks; see the subclass.

    Attributes:
        network: The networks' class.
        actor: Network from tokens to distribution parameters.
        critic: Network from tokens to values; None if the policy has no critic.
        training_record: How a policy from `load_policy` was trained; else None.

    Raises:
        TypeError: An argument is unknown to the networks, or is missing.
        ValueError: A space or an argument is not supported.

    Source: two networks and the optimizer of RL3 (arXiv 2306.15909, Appendix C); a critic that sees
    more: Baisero and Amato, Unbiased asymmetric reinforcement learning under partial observability
    (arXiv 2105.11674), and Pinto et al. (arXiv 1710.06542).
    """

    network: ClassVar[type[Network[Any]]]
    actor: Network[Any]
    critic: Network[Any] | None
    training_record: "TrainingRecord | None" = None

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        critic_weight_decay: float = 0.0,
        adam_eps: float = 1e-5,
        log_std_init: float = 0.0,
        critic_only: str = "",
        actor_only: bool = False,
        **network_arguments: Any,
    ) -> None:
        if use_sde:
            raise ValueError("`use_sde` must be False, got True. Leave it out.")
        check_action_space(action_space)
        if not 0 <= _number(critic_weight_decay) < math.inf:
            raise ValueError(
                "`critic_weight_decay` must be finite and at least 0, got "
                f"{critic_weight_decay!r}. Pass 0 for none."
            )
        if not 0 < _number(adam_eps) < math.inf:
            raise ValueError(f"`adam_eps` must be finite and above 0, got {adam_eps!r}.")
        if not math.isfinite(_number(log_std_init)):
            raise ValueError(f"`log_std_init` must be finite, got {log_std_init!r}.")
        self._network_arguments = self._completed(network_arguments)
        self._critic_weight_decay = critic_weight_decay
        self.critic_only = critic_only
        self._actor_only = actor_only
        self._tokens = Tokens(observation_space, critic_only)
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            log_std_init=log_std_init,
            optimizer_class=th.optim.Adam,
            # fused: one pass over the weights instead of one per operation, on CPU and GPU alike
            optimizer_kwargs={"eps": adam_eps, "fused": True},
        )

    @classmethod
    def network_defaults(cls) -> dict[str, Any]:
        """Return the networks' arguments and their defaults, `...` for a required one.

        Raises:
            TypeError: `network` is not a class of networks.
        """
        return named_arguments(getattr(cls, "network", None), cls.__name__)

    @classmethod
    def argument_defaults(cls) -> dict[str, Any]:
        """Return all arguments and their defaults, `...` for a required one."""
        own = inspect.signature(SequencePolicy).parameters.values()
        named = {a.name: a.default for a in own if a.kind is a.KEYWORD_ONLY}
        return named | cls.network_defaults()

    @classmethod
    def default_choices(cls) -> dict[str, str]:
        """Return the networks' choices (see `Network.CHOICES`) with their default values."""
        return {name: cls.network_defaults()[name] for name in cls._choices()}

    @classmethod
    def oldest_choices(cls) -> dict[str, str]:
        """Return the values of the networks' choices in files older than the choice."""
        return {name: texts[0] for name, texts in cls._choices().items()}

    @classmethod
    def _choices(cls) -> Mapping[str, tuple[str, ...]]:
        # Custom networks may have been written before choices existed.
        choices: Mapping[str, tuple[str, ...]] = getattr(cls.network, "CHOICES", {})
        return choices

    @classmethod
    def _completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        arguments = cls.network_defaults()
        for name in given.keys() - arguments.keys():
            known = [*{**arguments, **cls.argument_defaults()}]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            raise TypeError(
                f"`{name}` must be an argument of {cls.__name__}, which has {', '.join(known)}. "
                + (
                    f"Did you mean {near[0]}?"
                    if near
                    else "Leave it out, or choose another policy."
                )
            )
        arguments |= given
        for name, value in arguments.items():
            if value is ...:
                raise TypeError(f"`{name}` must be given to {cls.__name__}. {_remedy_for(name)}")
        return arguments

    @property
    def context_length(self) -> int | None:
        """Largest number of steps of an episode; None if there is no limit."""
        length: int | None = self._network_arguments.get("context_length")
        return length

    @property
    def actor_space(self) -> spaces.Space[Any]:
        """The space on which the policy acts, the observation space without `critic_only`."""
        return self._tokens.actor_space

    def _build(self, lr_schedule: Schedule) -> None:
        """Create networks and optimizer; SB3's constructor calls this last."""
        arguments = self._network_arguments
        self.n_actions = n_outputs(self.action_space)
        self.actor = self.network(self._tokens.actor_size, self.n_actions, **arguments)
        self.critic = None
        if not self._actor_only:
            self.critic = self.network(self._tokens.size, 1, **arguments)
        nn.init.orthogonal_(self.actor.head.weight, _ACTION_HEAD_GAIN)
        nn.init.zeros_(self.actor.head.bias)
        actor_parameters = list(self.actor.parameters())
        if isinstance(self.action_space, spaces.Box):
            self.log_std = nn.Parameter(th.full((self.n_actions,), float(self.log_std_init)))
            actor_parameters.append(self.log_std)
        critic_parameters = [] if self.critic is None else list(self.critic.parameters())
        groups: list[dict[str, Any]] = [
            {"params": actor_parameters},
            {"params": critic_parameters, "weight_decay": self._critic_weight_decay},
        ]
        self.optimizer = th.optim.Adam(groups, lr=lr_schedule(1), **self.optimizer_kwargs)
        self._invalidate_memories_at_updates()

    def _invalidate_memories_at_updates(self) -> None:
        self.optimizer.register_step_post_hook(lambda *_: self.actor.invalidate_memories())

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore from a copy or a pickle, which loses the optimizer's hooks."""
        super().__setstate__(state)  # type: ignore[no-untyped-call] # torch's
        self._invalidate_memories_at_updates()

    # ---------------------------------------------------------------- tokens and distributions

    def extract_features(self, obs: PyTorchObs, features_extractor: Any = None) -> th.Tensor:
        """Flatten a batch of observations into tokens.

        Args:
            obs: A tensor of shape `(B, *shape)`, or a dictionary of such tensors.
            features_extractor: Not used; part of SB3's signature.

        Returns:
            Shape (B, C), float32, see `rl3_sb3.tokens`.
        """
        return self._tokens.of(obs)

    def to_tokens(self, observation: VecEnvObs) -> th.Tensor:
        """Return a batch of NumPy observations, `(B, *shape)` or a dictionary, as (B, C) tokens.

        As in `predict`, the critic's own part may be missing.
        """
        assert not isinstance(observation, tuple), "SB3 has no tuple observations"
        named = self._tokens.named(observation)
        return self.extract_features(obs_as_tensor(named, self.device))

    def distribution(self, params: th.Tensor) -> Distribution:
        """Return the action distribution of distribution parameters, shape (..., n_params)."""
        return action_distribution(self.action_space, params)

    def sample(self, params: th.Tensor, rows: slice, n_rows: int) -> th.Tensor:
        """Draw actions for these rows of a batch of `n_rows`, see `sample_actions`."""
        return sample_actions(self.action_space, params, rows, n_rows)

    def divergence(self, params: th.Tensor, others: th.Tensor) -> th.Tensor:
        """Return KL(p || q), shape (...), of distributions given by parameters (..., n_params)."""
        return divergence(self.action_space, params, others)

    def _to_params(self, outputs: th.Tensor, action_masks: th.Tensor | None) -> th.Tensor:
        # (..., n_actions) -> (..., n_params): the standard deviation ignores observations
        if isinstance(self.action_space, spaces.Discrete):
            return outputs if action_masks is None else only_allowed(outputs, action_masks)
        assert action_masks is None, "only for Discrete actions, see `_to_masks`"
        return th.cat([outputs, self.log_std.expand_as(outputs)], dim=-1)

    def to_env_actions(self, actions: th.Tensor) -> npt.NDArray[Any]:
        """Return sampled actions, (B,) or (B, n_actions), in the environment's form.

        As in SB3, `Box` actions are clipped to the bounds, because a Gaussian is unbounded.
        """
        env_actions = actions.cpu().numpy().reshape((-1, *(self.action_space.shape or ())))
        if isinstance(self.action_space, spaces.Box):
            env_actions = np.clip(env_actions, self.action_space.low, self.action_space.high)
        return env_actions

    # ---------------------------------------------------------------- whole sequences (training)

    def sequence_params(
        self, tokens: th.Tensor, action_masks: th.Tensor | None = None
    ) -> th.Tensor:
        """Return the actor's distribution parameters, (B, T, n_params).

        Args:
            tokens: Shape (B, T, C).
            action_masks: Bools, (B, T, n_actions), True where an action is allowed; None: all are.
        """
        return self._to_params(self.actor(self._tokens.for_actor(tokens)), action_masks)

    def require_critic(self) -> Network[Any]:
        """Return the critic.

        Raises:
            ValueError: The policy has no critic.
        """
        if self.critic is None:
            raise ValueError(
                "`policy` must have a critic to be trained or to give values, got one that was "
                "exported without its critic (`actor_only`). It can `predict`. To continue its "
                "training, create a `TransformerPPO` of the same sizes and call its "
                "`start_from(FOLDER)`: the critic starts anew."
            )
        return self.critic

    def sequence_values(self, tokens: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return the critic's values, (B, T), for tokens (B, T, C).

        Args:
            tokens: Whole sequences from their first step on.
            bootstrap: See `Network`.

        Raises:
            ValueError: The critic's own part of the tokens is missing, or the critic.
        """
        critic = self.require_critic()
        self._tokens.require_whole(tokens)
        values: th.Tensor = critic(tokens, bootstrap=bootstrap)
        return values.squeeze(-1)

    def evaluate_actions(
        self, obs: PyTorchObs, actions: th.Tensor, action_masks: th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Return values, log-probabilities and entropies, each (B, T), of whole sequences.

        Args:
            obs: Tokens, shape (B, T, C).
            actions: Shape (B, T), or (B, T, n_actions) for a `Box`.
            action_masks: See `sequence_params`.

        Raises:
            ValueError: These are not sequences, because another algorithm than `TransformerPPO`
                trains this policy; or see `sequence_values`.
        """
        tokens = self._require_sequences(obs, actions)
        distribution = self.distribution(self.sequence_params(tokens, action_masks))
        return self.sequence_values(tokens), distribution.log_prob(actions), distribution.entropy()

    def _require_sequences(self, obs: PyTorchObs, actions: th.Tensor) -> th.Tensor:
        sizes = (self._tokens.actor_size, self._tokens.size)
        per_step = (self.n_actions,) if isinstance(self.action_space, spaces.Box) else ()
        if (
            isinstance(obs, th.Tensor)
            and obs.ndim == 3
            and obs.shape[-1] in sizes
            and actions.shape == (*obs.shape[:2], *per_step)
        ):
            return obs
        found = f"the shape {tuple(obs.shape)}" if isinstance(obs, th.Tensor) else "a dictionary"
        raise ValueError(
            f"`obs` must be the tokens of whole sequences, (B, T, {self._tokens.size}), with their "
            f"actions, got {found} with actions of the shape {tuple(actions.shape)}. To train "
            f"{type(self).__name__}, use rl3_sb3.TransformerPPO: Stable-Baselines3's algorithms do "
            "not hand over sequences."
        )

    # ---------------------------------------------------------------- step by step (acting)

    def new_state(self, n_envs: int, replaced: Memory | None = None) -> Memory:
        """Return the empty memory of `n_envs` episodes that are about to start.

        Args:
            n_envs: Number of episodes.
            replaced: See `Network.new_memory`.
        """
        memory: Memory = self.actor.new_memory(n_envs, replaced)
        return memory

    @th.no_grad()
    def step(
        self, tokens: th.Tensor, state: Memory, action_masks: th.Tensor | None = None
    ) -> tuple[th.Tensor, Memory]:
        """Return distribution parameters, (B, n_params), of the next step, and the next state.

        Args:
            tokens: Shape (B, C).
            state: The memory so far; `Network.require_room` raises if it is full or stale.
            action_masks: Bools, (B, n_actions), True where an action is allowed; None: all are.
        """
        outputs, state = self.actor.step(self._tokens.for_actor(tokens), state)
        return self._to_params(outputs, action_masks), state

    @th.no_grad()
    def static_step(
        self,
        tokens: th.Tensor,
        state: Memory,
        tensors: Tensors,
        action_masks: th.Tensor | None = None,
    ) -> Tensors:
        """Return distribution parameters, (B, n_params), and more; see `Network.static_step`."""
        token = self._tokens.for_actor(tokens)
        outputs, *tensors_after = self.actor.static_step(token, state, tensors)
        return self._to_params(outputs, action_masks), *tensors_after

    def predict(  # type: ignore[override]
        self,
        observation: Observation,
        state: Memory | None = None,
        episode_start: npt.NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        action_masks: npt.ArrayLike | None = None,
    ) -> tuple[npt.NDArray[Any], Memory]:
        """Return actions for observations, and the state to pass with the next ones.

        Args:
            observation: One observation or a batch of them, with or without `critic_only`.
            state: The state returned by the last call. None clears the whole memory.
            episode_start: Shape (B,), or one bool for all: True where an episode starts, which
                clears that row of the memory. It may be left out in the first call.
            deterministic: Take the most likely action instead of sampling one.
            action_masks: Bools, or 0 and 1, True where an action is allowed; shape (B, n_actions),
                or (n_actions,) for one observation. None allows all actions, even if the policy was
                trained with masks.

        Returns:
            Actions as an array (clipped to a `Box`'s bounds), with a batch axis if the observation
            has one, and the next state. Two calls with the same state give the same distribution.

        Raises:
            ValueError: The state is full, stale (the weights have changed since) or of another
                batch size; `episode_start` is of another one; `observation` is the whole return
                value of `reset` or `step`; or the masks have another shape, hold other values,
                allow no action, or come with `Box` actions.
        """
        _require_observation(observation)
        self.set_training_mode(False)
        obs, vectorized = self.obs_to_tensor(self._tokens.named(observation))
        tokens = self.extract_features(obs)
        masks = None if action_masks is None else self._to_masks(action_masks, len(tokens))
        if state is None:
            state = self.new_state(len(tokens))
        if episode_start is not None:
            state = state.reset_rows(_rows_of("episode_start", episode_start, len(tokens)))
        params, state = self.step(tokens, state, masks)
        actions = self.to_env_actions(self._choose(params, deterministic))
        # Not actions[0], which turns an array of one into a number.
        return (actions if vectorized else actions.squeeze(axis=0)), state

    def _to_masks(self, given: npt.ArrayLike, n_rows: int) -> th.Tensor:
        if not isinstance(self.action_space, spaces.Discrete):
            raise ValueError(
                f"`action_masks` must be left out for the actions {self.action_space}, got "
                f"{given!r}: only Discrete ones can be masked."
            )
        masks = as_masks("action_masks", given, n_rows, self.n_actions)
        return th.as_tensor(masks, device=self.device)

    def _choose(self, params: th.Tensor, deterministic: bool) -> th.Tensor:
        distribution = self.distribution(params)
        # `mode` is typed as a plain property, missing from the base class in old torch versions.
        chosen: th.Tensor = distribution.mode if deterministic else distribution.sample()
        return chosen

    def forward(
        self,
        obs: PyTorchObs,
        deterministic: bool = False,
        action_masks: th.Tensor | None = None,
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Return actions, values and log-probabilities at the first step of an episode.

        Args:
            obs: A batch of observations, each treated as the first of its episode.
            deterministic: Take the most likely actions.
            action_masks: Bools, (B, n_actions), True where an action is allowed; None: all are.
        """
        tokens = self.extract_features(obs).unsqueeze(1)  # (B, C) -> (B, 1, C)
        masks = None if action_masks is None else action_masks.unsqueeze(1)
        params = self.sequence_params(tokens, masks).squeeze(1)
        actions = self._choose(params, deterministic)
        log_probs = self.distribution(params).log_prob(actions)
        return actions, self.sequence_values(tokens), log_probs

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        return self.forward(observation, deterministic)[0]

    def get_distribution(self, obs: PyTorchObs) -> SB3Distribution:
        """Not supported: the distribution depends on earlier steps. See `distribution`."""
        raise NotImplementedError(
            "The distribution depends on earlier steps: use `step` and `distribution`, "
            "or `sequence_params` for whole sequences."
        )

    def predict_values(self, obs: PyTorchObs) -> th.Tensor:
        """Return values, (B, 1), of observations that each start an episode (SB3's signature)."""
        return self.sequence_values(self.extract_features(obs).unsqueeze(1))

    # ---------------------------------------------------------------- saving the policy alone

    @classmethod
    def load(cls, path: str, device: th.device | str = "auto") -> Self:
        """Create a policy from a file written by `save`, with pickles; see SB3's `BasePolicy.load`.

        A file older than one of the networks' choices gets the oldest value.
        """
        device = get_device(device)
        saved = th.load(path, map_location=device, weights_only=False)
        policy = cls(**{**cls.oldest_choices(), **saved["data"]})
        policy.load_state_dict(saved["state_dict"])
        return policy.to(device)

    def load_from_vector(self, vector: npt.NDArray[Any]) -> None:
        """Set all parameters from one vector; earlier states become stale."""
        super().load_from_vector(vector)
        self.actor.invalidate_memories()

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            # From the optimizer, because a checkpoint may have replaced the arguments.
            "critic_weight_decay": self.optimizer.param_groups[1]["weight_decay"],
            "adam_eps": self.optimizer.param_groups[0]["eps"],
            "log_std_init": self.log_std_init,
            "critic_only": self.critic_only,
            "actor_only": self.critic is None,
            **self._network_arguments,
        }


def _remedy_for(missing: str) -> str:
    """Return how the value of an argument gets to the networks of a policy."""
    if missing == "context_length":
        return "`TransformerPPO` does."
    return f'Pass policy_kwargs={{"{missing}": ...}} to `TransformerPPO`, or give it a default.'


def _number(value: Any) -> float:
    """Return a number as a float; NaN, which fails every check of a range, if it is none."""
    return float(value) if isinstance(value, numbers.Real) else math.nan


def _rows_of(name: str, given: npt.ArrayLike, n_rows: int) -> npt.NDArray[np.bool_]:
    """Return a bool for each row; raise ValueError if they are for another number of rows."""
    rows = np.asarray(given, dtype=bool)
    if rows.shape not in ((), (1,), (n_rows,)):
        raise ValueError(
            f"`{name}` must have one bool for each of {n_rows} observations, got the shape "
            f"{rows.shape}. Pass the `dones` of the step that returned them."
        )
    return np.array(np.broadcast_to(rows, n_rows))


def _require_observation(given: Any) -> None:
    """Raise ValueError if this is the tuple that `reset` or `step` returned, with its infos."""
    if not isinstance(given, tuple) or not given:
        return
    infos = given[-1] if isinstance(given[-1], list | tuple) else [given[-1]]
    if infos and all(isinstance(info, dict) for info in infos):
        raise ValueError(
            f"`observation` must be an array or a dictionary, got a tuple of {len(given)} with "
            "infos, an environment's whole return value. Gymnasium's `obs, info = env.reset()` "
            "returns two values, `obs = env.reset()` of Stable-Baselines3's VecEnv one. Pass `obs`."
        )
