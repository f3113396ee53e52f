"""An actor-critic policy that remembers its episode, for Stable-Baselines3.

Actor and critic are separate networks over the same tokens; a token is one flattened observation,
so whatever the policy shall remember (previous action, previous reward, clocks) must be part of the
observation. One part may be the critic's alone (see `rl3_sb3.tokens`): what is known in training,
and unknown where the policy acts. The policy gradient stays unbiased, as the actor never sees it;
it becomes less noisy, as the critic explains what the actor cannot know. Acting runs the actor
alone, with its memory as SB3's opaque recurrent `state` (`predict(obs, state, episode_start)`);
training runs both over whole sequences.

Which networks, a class in `rl3_sb3.policy` says.

The action distribution travels as one flat vector of *distribution parameters*: the logits of a
categorical distribution, or mean and log standard deviation of a diagonal Gaussian. PPO stores
them, because the exact KL divergence needs the behaviour's whole distribution. Where actions are
masked, the parameters are already those of the distribution over the allowed ones.
"""

import inspect
import math
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
from rl3_sb3.tokens import Tokens

if TYPE_CHECKING:
    from rl3_sb3.policy_files.record import TrainingRecord

# SB3's gain for the policy's last layer: the first policy is nearly uniform.
_ACTION_HEAD_GAIN = 0.01

Observation = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]


class SequencePolicy(ActorCriticPolicy):
    """Actor and critic as two networks of one kind, with one Adam for both.

    Args:
        observation_space: A `Box`, `Discrete`, `MultiDiscrete` or `MultiBinary`, or a `Dict` of
            these, which is flattened in the sorted order of its keys.
        action_space: `Discrete` (starting at 0) or `Box`.
        lr_schedule: SB3's learning rate schedule; its value at 1 is used first.
        use_sde: Not supported; SB3 passes it always.
        critic_weight_decay: L2 penalty added to the critic's gradients (not the actor's), >= 0.
        adam_eps: Adam's epsilon, > 0.
        log_std_init: First log standard deviation of `Box` actions.
        critic_only: The key of a `Dict` that only the critic sees; "" for none. Such a policy acts
            on observations without it too, and where one key is left on what stands there alone.
        actor_only: Make no critic: the policy acts, but cannot be trained nor asked for values.
        network_arguments: Of both networks, by name; see the subclass.

    Attributes:
        network: The networks' class.
        actor: Tokens to distribution parameters.
        critic: Tokens to values; None if the policy has the actor only.
        training_record: What is known about the training of a policy read by `load_policy`.

    Raises:
        TypeError: The networks have no such argument, or one is missing.
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
        if not 0 <= critic_weight_decay < math.inf:
            raise ValueError(
                f"`critic_weight_decay` must be finite and at least 0, got {critic_weight_decay}. "
                "Pass 0 for none."
            )
        if not 0 < adam_eps < math.inf:
            raise ValueError(f"`adam_eps` must be finite and above 0, got {adam_eps}.")
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
        """Return the arguments of the networks and their defaults, `...` where there is none."""
        _, _, *arguments = inspect.signature(cls.network).parameters.values()  # after the two dims
        return {a.name: ... if a.default is a.empty else a.default for a in arguments}

    @classmethod
    def argument_defaults(cls) -> dict[str, Any]:
        """Return what each argument is where it is left out, `...` where it must be given."""
        own = inspect.signature(SequencePolicy).parameters.values()
        named = {a.name: a.default for a in own if a.kind is a.KEYWORD_ONLY}
        return named | cls.network_defaults()

    @classmethod
    def default_choices(cls) -> dict[str, str]:
        """Return the networks' choices, see `Network.CHOICES`, as they are where nobody chooses."""
        return {name: cls.network_defaults()[name] for name in cls._choices()}

    @classmethod
    def oldest_choices(cls) -> dict[str, str]:
        """Return the networks' choices as files mean them that are older than the choice."""
        return {name: texts[0] for name, texts in cls._choices().items()}

    @classmethod
    def _choices(cls) -> Mapping[str, tuple[str, ...]]:
        # Networks of one's own may be older than choices.
        choices: Mapping[str, tuple[str, ...]] = getattr(cls.network, "CHOICES", {})
        return choices

    @classmethod
    def _completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        arguments = cls.network_defaults()
        for name in given.keys() - arguments.keys():
            raise TypeError(
                f"`{name}` must be an argument of {cls.__name__}, which has "
                f"{', '.join(arguments)}. Leave it out, or choose another policy."
            )
        arguments |= given
        for name, value in arguments.items():
            if value is ...:
                raise TypeError(f"`{name}` must be given to {cls.__name__}. `TransformerPPO` does.")
        return arguments

    @property
    def context_length(self) -> int | None:
        """The most steps of an episode that the policy was made for; None for any number."""
        length: int | None = self._network_arguments.get("context_length")
        return length

    @property
    def actor_space(self) -> spaces.Space[Any]:
        """What the policy acts on: the observation space without `critic_only`."""
        return self._tokens.actor_space

    def _build(self, lr_schedule: Schedule) -> None:
        """Make networks and optimizer; SB3's constructor calls this last."""
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
        """Become a copy or what was pickled; an optimizer loses its hooks on the way."""
        super().__setstate__(state)  # type: ignore[no-untyped-call] # torch's
        self._invalidate_memories_at_updates()

    # ---------------------------------------------------------------- tokens and distributions

    def extract_features(self, obs: PyTorchObs, features_extractor: Any = None) -> th.Tensor:
        """Flatten a batch of observations into tokens.

        Args:
            obs: A tensor of shape `(B, *shape)`, or a dictionary of them.
            features_extractor: Not used; part of SB3's signature.

        Returns:
            Shape (B, C), float32, see `rl3_sb3.tokens`.
        """
        return self._tokens.of(obs)

    def to_tokens(self, observation: VecEnvObs) -> th.Tensor:
        """Return a batch of NumPy observations, `(B, *shape)` or a dictionary, as (B, C) tokens."""
        assert not isinstance(observation, tuple), "SB3 has no tuple observations"
        return self.extract_features(obs_as_tensor(observation, self.device))

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
        # (..., n_actions) -> (..., n_params): the standard deviation depends on no observation
        if isinstance(self.action_space, spaces.Discrete):
            return outputs if action_masks is None else only_allowed(outputs, action_masks)
        assert action_masks is None, "of Discrete actions only, see `_to_masks`"
        return th.cat([outputs, self.log_std.expand_as(outputs)], dim=-1)

    def to_env_actions(self, actions: th.Tensor) -> npt.NDArray[Any]:
        """Return sampled actions, (B,) or (B, n_actions), as the environment takes them.

        `Box` actions are clipped to the bounds, as SB3 does: a Gaussian has none.
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
            ValueError: The policy has the actor only.
        """
        if self.critic is None:
            raise ValueError(
                "`policy` must have a critic to be trained or to give values, got one that was "
                "exported without its critic (`actor_only`). It can `predict`. To train it on, "
                "make a `TransformerPPO` of the same sizes and call its policy's "
                "`load_state_dict(policy.state_dict(), strict=False)`: the critic starts anew."
            )
        return self.critic

    def sequence_values(self, tokens: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return the critic's values, (B, T), for tokens (B, T, C).

        Args:
            tokens: Whole sequences from their first step on.
            bootstrap: See `Network`.

        Raises:
            ValueError: The critic's own part is missing, or the critic.
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
        """
        assert isinstance(obs, th.Tensor), "sequences come as tokens: see `extract_features`"
        distribution = self.distribution(self.sequence_params(obs, action_masks))
        return self.sequence_values(obs), distribution.log_prob(actions), distribution.entropy()

    # ---------------------------------------------------------------- step by step (acting)

    def new_state(self, n_envs: int, replaced: Memory | None = None) -> Memory:
        """Return the empty memory of `n_envs` episodes that are about to start.

        Args:
            n_envs: How many.
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
            state: The memory so far, see `Network.require_room` for what it refuses.
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
            state: What the last call returned. None forgets everything.
            episode_start: Shape (B,): True where an episode starts, which empties that row's
                memory. May be left out at the first call.
            deterministic: Take the most likely action instead of sampling one.
            action_masks: Bools, or 0 and 1, of shape (B, n_actions), or (n_actions,) for one
                observation: which actions are allowed. None allows all, also where the policy was
                trained with masks.

        Returns:
            Actions as an array (clipped to a `Box`'s bounds), with a batch axis if the observation
            has one, and the next state. Calling twice with one state gives the same distribution
            twice.

        Raises:
            ValueError: The state is full, stale (the weights changed since), or of another batch
                size; what was given is all that `reset` or `step` returned; or the masks have
                another shape or other values, one allows no action, or actions are a `Box`.
        """
        _require_observation(observation)
        self.set_training_mode(False)
        obs, vectorized = self.obs_to_tensor(self._tokens.named(observation))
        tokens = self.extract_features(obs)
        masks = None if action_masks is None else self._to_masks(action_masks, len(tokens))
        if state is None:
            state = self.new_state(len(tokens))
        if episode_start is not None:
            state = state.reset_rows(np.asarray(episode_start, dtype=bool))
        params, state = self.step(tokens, state, masks)
        actions = self.to_env_actions(self._choose(params, deterministic))
        # not actions[0], which makes a number of an array of one
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
        # `mode` is typed as a plain property that old torch versions lack in the base class
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
            obs: A batch of observations, each taken as the first of its episode.
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
        """Not supported: the distribution depends on the steps before. See `distribution`."""
        raise NotImplementedError(
            "The distribution depends on the steps before: use `step` and `distribution`, "
            "or `sequence_params` for whole sequences."
        )

    def predict_values(self, obs: PyTorchObs) -> th.Tensor:
        """Return values, (B, 1), of observations that each start an episode (SB3's signature)."""
        return self.sequence_values(self.extract_features(obs).unsqueeze(1))

    # ---------------------------------------------------------------- saving the policy alone

    @classmethod
    def load(cls, path: str, device: th.device | str = "auto") -> Self:
        """Make a policy from what `save` wrote, with pickles; see SB3's `BasePolicy.load`.

        A file that is older than one of the networks' choices means the oldest.
        """
        device = get_device(device)
        saved = th.load(path, map_location=device, weights_only=False)
        policy = cls(**{**cls.oldest_choices(), **saved["data"]})
        policy.load_state_dict(saved["state_dict"])
        return policy.to(device)

    def load_from_vector(self, vector: npt.NDArray[Any]) -> None:
        """Set all parameters from one vector; states made before become stale."""
        super().load_from_vector(vector)
        self.actor.invalidate_memories()

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            # as the optimizer has them, which a checkpoint may have brought
            "critic_weight_decay": self.optimizer.param_groups[1]["weight_decay"],
            "adam_eps": self.optimizer.param_groups[0]["eps"],
            "log_std_init": self.log_std_init,
            "critic_only": self.critic_only,
            "actor_only": self.critic is None,
            **self._network_arguments,
        }


def _require_observation(given: Any) -> None:
    """Raise ValueError for a tuple with infos: of an environment's answer, pass the first part."""
    if not isinstance(given, tuple) or not given:
        return
    infos = given[-1] if isinstance(given[-1], list | tuple) else [given[-1]]
    if infos and all(isinstance(info, dict) for info in infos):
        raise ValueError(
            f"`observation` must be an array or a dictionary, got a tuple of {len(given)} with "
            "infos, the whole answer of an environment. In Gymnasium `obs, info = env.reset()` "
            "gives two, in a VecEnv of Stable-Baselines3 `obs = env.reset()` one. Pass `obs`."
        )
