"""PPO for policies with memory: whole sequences, and an actor that stops before the critic.

One iteration collects `n_steps` steps per environment with the actor's memory, runs the critic
once over the finished sequences, and then minimises, for `n_epochs` epochs of minibatches,

    L = E[-min(rho A, clip(rho, 1 - eps, 1 + eps) A)] - c_ent E[entropy] + c_vf E[(V - R)^2],

where rho is the probability ratio of current and behaviour policy, A the advantage (normalised per
minibatch), and R = A + V_behaviour. `rl3_sb3.update` describes when the actor stops.

Boundaries: the end of an episode clears its row of the memory. A new rollout clears all rows, but
does not reset the environments: an episode that is still running continues in the next rollout
with an empty memory, at position 0. Rollouts of a multiple of H steps never cut a meta-episode of
H steps.

If environments return action masks (see `action_masks`), forbidden actions have probability 0 both
in collecting and in training.

With several processes (see `ranks`), each steps its own environments and all train one policy.
They have the same seed, except for the environments.

Source: Schulman et al. 2017 (arXiv 1707.06347); details of RL3 (arXiv 2306.15909, Appendix C).
"""

import copy
import inspect
import io
import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule, TensorDict
from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.action_masks import ActionMasks, Masks
from rl3_sb3.arguments import (
    check_arguments,
    check_env,
    check_n_steps,
    check_names,
    check_policy,
    scheduled,
)
from rl3_sb3.checkpoint_file import (
    misfits_explained,
    require_complete_checkpoint,
    require_same_arguments,
)
from rl3_sb3.distribution import check_action_space
from rl3_sb3.env_attributes import require_alike
from rl3_sb3.policy import POLICIES
from rl3_sb3.policy_files.folder import export_policy, load_policy
from rl3_sb3.policy_files.training import training_record
from rl3_sb3.ranks import (
    any_rank,
    copy_from_first_rank,
    copy_optimizer_from_first_rank,
    from_first_rank,
    gather_over_ranks,
    n_ranks,
    this_rank,
)
from rl3_sb3.rollout.acting import Acting
from rl3_sb3.rollout.buffer import SequenceRolloutBuffer
from rl3_sb3.rollout.collection import Step, collect
from rl3_sb3.rollout.rollout_length import rollout_and_context_length
from rl3_sb3.sequence_policy import Observation, SequencePolicy
from rl3_sb3.start_from import take_networks
from rl3_sb3.update.symmetry import Symmetry
from rl3_sb3.update.updates import DivergedError, Settings, Updates

# Largest memory, in bytes over all environments, for a context that is longer than rollouts.
_MOST_MEMORY = 2**30

# Constructor arguments that `load` does not accept in its keywords, and further ones of `load`.
_NOT_LOADED = {"policy", "env", "device", "_init_setup_model"}
_LOADING = {"custom_objects", "print_system_info", "force_reset"}


class TransformerPPO(PPO):
    """PPO for policies that remember their episode through attention, in an LSTM, or not at all.

    Arguments not listed here are those of SB3's PPO.

    Args:
        policy: "TransformerPolicy", "LstmPolicy", "MarkovPolicy" (no memory), a name given to
            `register_policy`, or a custom subclass of `SequencePolicy`.
        env: The environment, or its id. Episodes must fit the policy's context, if it has one.
            Action masks are respected, see `rl3_sb3.ActionMasks`.
        learning_rate: Adam's learning rate for actor and critic, at least 0; a number or a schedule
            of the remaining progress (1 to 0).
        n_steps: Steps per environment and iteration, at least 1. None: the environment's attribute
            `horizon`, or else the `max_episode_steps` of its spec (the largest of all
            environments), times the smallest integer with which the environments of this process
            give at least 2048 steps together. Must be a multiple of `horizon` if that is a positive
            integer.
        batch_size: Steps (not sequences) per minibatch, met as nearly as whole sequences and equal
            minibatches allow.
        n_epochs: Passes over each rollout, at least 1.
        gamma: Discount factor, in [0, 1].
        gae_lambda: GAE's lambda, in [0, 1]; a number or a schedule, read when a rollout begins.
        clip_range: Clipping of the probability ratio, above 0; a number or a schedule.
        normalize_advantage: Whether to normalise advantages in each minibatch.
        normalize_returns: Whether to train the critic in units of the rollout's returns, see
            `rl3_sb3.update.units`.
        ent_coef: Entropy coefficient, at least 0; a number or a schedule.
        vf_coef: Value loss coefficient, at least 0.
        max_grad_norm: Largest norm of each network's gradient, above 0; None does not clip.
        target_kl: The actor stops training for this iteration when, after an epoch, the mean KL
            divergence from the behaviour policy exceeds this; above 0. None never stops it.
        symmetry: Also train on relabelled sequences, see `Symmetry`; only for tasks that look the
            same under other names of their actions. None does not.
        stats_window_size: See SB3.
        tensorboard_log: See SB3.
        policy_kwargs: Arguments of the policy class. A `context_length` left out, or None, covers
            the longest episode: the policy can then act in whole episodes, even if shorter rollouts
            never train its later positions. If an environment does not declare the length of its
            episodes, it is `n_steps`.
        verbose: See SB3.
        seed: Seed of Python, NumPy, torch and the environment.
        device: "auto" uses a CUDA device if there is one.
        cuda_graphs: On a GPU, replay recordings of the networks' calls as CUDA graphs. Not
            tested on a GPU yet.
        critic_first: Number of iterations in which only the critic trains, counted from the model's
            first, or from the last `start_from`; at least 0.

    Attributes:
        n_steps_before: Number of steps in the training record of the policy that `start_from` took
            over, 0 if it has none; `num_timesteps` counts this model's own.

    Raises:
        TypeError: An argument is not a number where one is needed.
        ValueError: An argument is out of range, the policy's name is unknown, a space is not
            supported or differs between environments, `n_steps` must be given or is not a multiple
            of the environment's `horizon`, or the context is too short.

    Warns:
        UserWarning: A context as long as the longest episode would need too much memory, so it is
            only `n_steps` long.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = POLICIES  # type: ignore[assignment] # of ours
    policy_class: type[SequencePolicy]
    policy: SequencePolicy
    rollout_buffer: SequenceRolloutBuffer
    # As they were given, like SB3's numbers: callbacks read them, and may set others.
    ent_coef: float | Schedule  # type: ignore[assignment] # SB3's has no schedule
    gae_lambda: float | Schedule  # type: ignore[assignment] # SB3's has no schedule

    def __init__(
        self,
        policy: str | type[SequencePolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int | None = None,
        batch_size: int = 512,
        n_epochs: int = 10,
        gamma: float = 0.99,
        gae_lambda: float | Schedule = 0.95,
        clip_range: float | Schedule = 0.2,
        normalize_advantage: bool = True,
        normalize_returns: bool = True,
        ent_coef: float | Schedule = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float | None = 0.5,
        target_kl: float | None = 0.02,
        symmetry: Symmetry | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        cuda_graphs: bool = False,
        critic_first: int = 0,
        _init_setup_model: bool = True,
    ) -> None:
        check_policy(policy, [*self.policy_aliases])
        if not isinstance(policy_kwargs, dict | None):
            raise TypeError(
                f"`policy_kwargs` must be a dict of the policy's arguments, got {policy_kwargs!r}."
            )
        check_arguments(
            n_steps=n_steps,
            n_epochs=n_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=clip_range,
            normalize_advantage=normalize_advantage,
            normalize_returns=normalize_returns,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            target_kl=target_kl,
            critic_first=critic_first,
        )
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            # A placeholder that passes SB3's checks, whose minibatches differ from ours. The real
            # number may depend on the environment, which `load` knows only after this call.
            n_steps=batch_size,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,  # type: ignore[arg-type] # a schedule too
            clip_range=clip_range,
            normalize_advantage=normalize_advantage,
            ent_coef=ent_coef,  # type: ignore[arg-type] # a schedule too
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,  # type: ignore[arg-type] # None: no clipping
            rollout_buffer_class=SequenceRolloutBuffer,
            target_kl=target_kl,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        self.n_steps = n_steps or 0  # 0: unknown until _setup_model
        # In `load` the checkpoint's value is set later; old checkpoints have none, and mean False.
        self.normalize_returns = normalize_returns and _init_setup_model
        self.critic_first = critic_first
        self.n_steps_before = 0
        self._n_iterations = 0  # since the last `start_from`
        # Stored explicitly, so that a checkpoint keeps its meaning if a default changes.
        self.policy_kwargs = {**self.policy_class.default_choices(), **self.policy_kwargs}
        self.cuda_graphs = cuda_graphs
        self._require_device_of_graphs()
        self.symmetry = symmetry
        # The masks of the last observations; a checkpoint stores both.
        self._last_action_masks: Masks | None = None
        if _init_setup_model:
            self._setup_model()
            self._require_two_steps()

    def _require_device_of_graphs(self) -> None:
        if self.cuda_graphs and self.device.type != "cuda":
            raise ValueError(
                f"`cuda_graphs` must be False on the device {self.device}, got True. Leave it out, "
                "or train on a GPU."
            )

    def _check_settings(self) -> None:
        """Raise ValueError or TypeError if any setting is out of range."""
        names = inspect.signature(check_arguments).parameters.keys() - {"n_steps"}
        check_arguments(
            n_steps=self.n_steps or None, **{name: getattr(self, name) for name in names}
        )
        if not isinstance(self.symmetry, Symmetry | None):
            raise ValueError(
                f"`symmetry` must be a Symmetry or None, got {self.symmetry!r}. Pass "
                "Symmetry.of(env)."
            )

    def _setup_model(self) -> None:
        self._check_settings()  # after `load` these include the checkpoint's and the caller's
        check_action_space(self.action_space)
        if self.env is not None:
            self.n_steps, context_length = self._lengths_for(self.env)
            if "context_length" in self.policy_class.network_defaults():
                context_length = self._affordable(context_length, self.env.num_envs)
                self.policy_kwargs = {**self.policy_kwargs, "context_length": context_length}
        # Something is missing only in a checkpoint that is older than the choice.
        self.policy_kwargs = {**self.policy_class.oldest_choices(), **self.policy_kwargs}
        super()._setup_model()
        self.policy.require_critic()
        if self.symmetry is not None:
            spaces = self.observation_space, self.action_space
            self.symmetry.require_fits(*spaces, self.policy.critic_only)
        self._acting: Acting | None = None
        self._action_masks: ActionMasks | None = None
        self._updates: Updates | None = None
        # Episodes that ended in this rollout, not yet known to the other ranks.
        self._own_episodes: list[dict[str, Any]] = []

    def _excluded_save_params(self) -> list[str]:
        # The buffer's class is always the same; storing it would store its module's path.
        own = ["_acting", "_action_masks", "_updates", "_own_episodes", "rollout_buffer_class"]
        return [*super()._excluded_save_params(), *own]

    @staticmethod
    def _wrap_env(env: GymEnv, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        # The constructor, `set_env` and `load` all pass their environment through here.
        check_env(env)
        wrapped: VecEnv = PPO._wrap_env(env, verbose, monitor_wrapper)
        require_alike(wrapped)
        return wrapped

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed all generators: equally on all ranks, except for the environments."""
        super().set_random_seed(seed)
        if seed is not None and self.env is not None and n_ranks() > 1:
            counts = gather_over_ranks(self.env.num_envs)
            self.env.seed(seed + sum(counts[: this_rank()]))

    def _lengths_for(self, env: VecEnv) -> tuple[int, int]:
        given = self.policy_kwargs.get("context_length")
        return rollout_and_context_length(env, self.n_steps or None, given)

    def _require_two_steps(self) -> None:
        # Each rank has at least one environment.
        if self.normalize_advantage and self.n_steps * self.n_envs * n_ranks() == 1:
            raise ValueError(
                "`n_steps` must give at least 2 steps of all environments together, got 1: one "
                "advantage cannot be normalised. Pass more, or normalize_advantage=False."
            )

    def _affordable(self, context_length: int, n_envs: int) -> int:
        """Return the context length, or `n_steps` if a longer context needs too much memory."""
        if context_length <= self.n_steps or self.policy_kwargs.get("context_length") is not None:
            return context_length
        arguments = {**self.policy_class.argument_defaults(), **self.policy_kwargs}
        size_of = getattr(self.policy_class.network, "memory_bytes", None)  # optional
        size = size_of(**{**arguments, "context_length": context_length}) if size_of else 0
        if n_envs * size <= _MOST_MEMORY:
            return context_length
        warnings.warn(
            f"Remembering episodes of {context_length} steps would take "
            f"{n_envs * size / 2**30:.1f} GiB in {n_envs} environments, so `context_length` is "
            f"n_steps = {self.n_steps}: enough to train, but not to act for longer. Pass "
            f'policy_kwargs={{"context_length": {context_length}}} to act in whole episodes, or '
            "use LstmPolicy, which needs no context.",
            stacklevel=4,
        )
        return self.n_steps

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        # The last rollout may exceed total_timesteps, but a schedule must not become negative.
        super()._update_current_progress_remaining(num_timesteps, total_timesteps)
        self._current_progress_remaining = max(0.0, self._current_progress_remaining)

    # ---------------------------------------------------------------- collecting

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        assert self.env is not None, "`learn` checks this"
        begins_anew = reset_num_timesteps or self._last_obs is None  # when SB3 resets
        prepared = super()._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        self._action_masks = ActionMasks(self.env)
        if begins_anew:
            # If a mask is invalid, the next `learn` must reset again.
            observation, self._last_obs = self._last_obs, None
            self._last_action_masks = self._action_masks.after_reset()
            self._last_obs = observation
        return prepared

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the buffer with one rollout, with each episode's memory from its start.

        Args:
            env: The training environment.
            callback: Called at every step, and before and after the rollout. If it has an attribute
                `reads_steps` that is False, it gets no `locals` at steps, which saves time.
            rollout_buffer: A `SequenceRolloutBuffer`.
            n_rollout_steps: Steps per environment.

        Returns:
            False if the callback stopped it. The partial rollout is then dropped and its memory is
            lost, so the next `learn` resets the environments.
        """
        assert isinstance(rollout_buffer, SequenceRolloutBuffer), "made by _setup_model"
        assert n_rollout_steps == rollout_buffer.buffer_size, "both are n_steps"
        complete = False
        self.policy.require_critic()  # before collecting a rollout that cannot be used
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        assert self._last_episode_starts is not None, "set by _setup_learn"
        rollout_buffer.begins = np.array(self._last_episode_starts, dtype=bool)
        rollout_buffer.gae_lambda = self._scheduled_lambda()
        callback.on_rollout_start()
        try:
            complete = self._collect_steps(env, callback, rollout_buffer)
        finally:
            if not complete:
                self._last_obs = None
        if not complete:
            return False
        rollout_buffer.require_finite()
        with th.no_grad():
            rollout_buffer.finish(
                lambda tokens: self.policy.sequence_values(tokens, bootstrap=True),
                lambda params, actions: self.policy.distribution(params).log_prob(actions),
                self._own_updates().inference_steps,
            )
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _scheduled_lambda(self) -> float:
        # SB3's progress still belongs to the previous iteration, or to an earlier `learn`.
        progress = max(0.0, 1 - self.num_timesteps / self._total_timesteps)
        return scheduled("gae_lambda", self.gae_lambda, progress)

    def _collect_steps(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: SequenceRolloutBuffer
    ) -> bool:
        acting = self._own_acting(env.num_envs)
        goes_on = True
        # No callback, or one that reads no steps: making the locals takes a tenth of collecting.
        nobody_looks = type(callback) is ConvertCallback and callback.callback is None
        nobody_looks |= not getattr(callback, "reads_steps", True)

        def after_step(step: Step) -> bool:
            nonlocal goes_on
            self._last_obs = step.new_obs  # type: ignore[assignment]
            self._last_action_masks = step.new_masks
            self._last_episode_starts = step.dones
            self.num_timesteps += acting.n_all_envs
            if not nobody_looks:
                shown = self._shown_to_callbacks(step, env, rollout_buffer)
                callback.update_locals({"callback": callback, **shown})
            goes_on &= callback.on_step()
            if goes_on:
                self._update_info_buffer(step.infos, step.dones)
            # One rank must not stop in the middle: the others would wait for it.
            return goes_on or n_ranks() > 1

        assert self._last_obs is not None, "set by _setup_learn"
        assert self._action_masks is not None, "made by _setup_learn"
        present = self._last_obs, self._last_action_masks
        collect(env, acting, rollout_buffer, self._action_masks, present, after_step)
        self._share_episodes()
        return not any_rank(not goes_on)

    @th.no_grad()
    def _shown_to_callbacks(
        self, step: Step, env: VecEnv, rollout_buffer: SequenceRolloutBuffer
    ) -> dict[str, Any]:
        """Return a step under the names that callbacks find in their `locals` with SB3's PPO.

        "values" is NaN, because the critic reads whole sequences after the rollout.
        """
        return {
            "self": self,
            "env": env,
            "rollout_buffer": rollout_buffer,
            "n_rollout_steps": rollout_buffer.buffer_size,
            "n_steps": rollout_buffer.pos - 1,
            **step._asdict(),
            "actions": step.actions.cpu().numpy(),
            "values": th.full((env.num_envs, 1), th.nan, device=self.device),
            "log_probs": self.policy.distribution(step.params).log_prob(step.actions),
        }

    def _update_info_buffer(
        self, infos: list[dict[str, Any]], dones: npt.NDArray[np.bool_] | None = None
    ) -> None:
        if n_ranks() == 1:
            super()._update_info_buffer(infos, dones)
        else:
            ended = [info for i, info in enumerate(infos) if dones is None or dones[i]]
            self._own_episodes += [
                {key: info[key] for key in ("episode", "is_success") if key in info}
                for info in ended
            ]

    def _share_episodes(self) -> None:
        """Update the episode statistics of every rank with the episodes of all ranks."""
        for episodes in gather_over_ranks(self._own_episodes):
            super()._update_info_buffer(episodes, np.ones(len(episodes), dtype=bool))
        self._own_episodes = []

    def _own_acting(self, n_envs: int) -> Acting:
        acting = self._acting
        # `model.policy` may have been replaced, for example by a trained one.
        if acting is None or acting.policy is not self.policy or acting.n_envs != n_envs:
            records = self.cuda_graphs and self.device.type == "cuda"
            acting = self._acting = Acting(self.policy, n_envs, cuda_graphs=records)
        return acting

    # ---------------------------------------------------------------- training

    def train(self) -> None:
        """Update actor and critic from the rollout.

        Raises:
            DivergedError: Losses or parameters are no longer finite.
        """
        self.policy.set_training_mode(True)
        progress = self._current_progress_remaining
        scheduled("learning_rate", self.lr_schedule, progress)
        self._update_learning_rate(self.policy.optimizer)
        settings = Settings(
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            clip_range=scheduled("clip_range", self.clip_range, progress),
            ent_coef=scheduled("ent_coef", self.ent_coef, progress),
            vf_coef=self.vf_coef,
            normalize_advantage=self.normalize_advantage,
            normalize_returns=self.normalize_returns,
            max_grad_norm=self.max_grad_norm,
            target_kl=self.target_kl,
            symmetry=self.symmetry,
            actor_trains=from_first_rank(self._n_iterations) >= self.critic_first,
        )
        try:
            metrics = self._own_updates().run(self.rollout_buffer, settings)
        except DivergedError as error:
            raise self._explained(error) from error
        self._n_updates += self.n_epochs
        self._n_iterations += 1
        for name, value in metrics.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/clip_range", settings.clip_range)
        self.logger.record("train/ent_coef", settings.ent_coef)
        self.logger.record("train/gae_lambda", self.rollout_buffer.gae_lambda)
        self.logger.record("train/explained_variance", self.rollout_buffer.explained_variance())
        if hasattr(self.policy, "log_std"):
            self.logger.record("train/std", self.policy.log_std.exp().mean().item())
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def mean_divergence(self) -> float:
        """Return the exact mean KL(behaviour || current), in nats, over the last rollout."""
        return self._own_updates().mean_divergence(self.rollout_buffer)

    def _own_updates(self) -> Updates:
        if self._updates is None or self._updates.policy is not self.policy:
            self._updates = Updates(self.policy, cuda_graphs=self.cuda_graphs)
        return self._updates

    def _explained(self, error: DivergedError) -> DivergedError:
        iteration = self._n_updates // self.n_epochs + 1
        return DivergedError(
            f"Training must stay finite, got {error} in iteration {iteration}, after "
            f"{self.num_timesteps} steps. This model is lost: load the last checkpoint, and lower "
            "`learning_rate`, or bound the gradients with `max_grad_norm`."
        )

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "TransformerPPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train for at least `total_timesteps` steps, counted over all ranks; see SB3's PPO.

        All ranks start with rank 0's parameters and optimizer state. Only rank 0 logs.

        Raises:
            ValueError: The model has no environment, or a schedule leaves its range.
        """
        if self.env is None:
            raise ValueError(
                "`env` must be set before `learn`, got None: a model loaded without one has none. "
                "Pass it to `load`, or call `set_env`."
            )
        self._require_two_steps()  # a checkpoint may have come from more environments
        if n_ranks() > 1:
            self._join_ranks()
        return super().learn(
            total_timesteps,
            callback,
            log_interval,
            tb_log_name,
            reset_num_timesteps,
            progress_bar and this_rank() == 0,
        )

    def _join_ranks(self) -> None:
        if self.get_vec_normalize_env() is not None:
            raise ValueError(
                f"`env` must not be a VecNormalize on {n_ranks()} ranks: each would use its own "
                "statistics. Normalise by fixed numbers instead."
            )
        lengths = gather_over_ranks(self.n_steps)
        if len(set(lengths)) > 1:
            raise ValueError(
                f"`n_steps` must be the same on all ranks, got {lengths}: if it is left out, it "
                f"depends on each rank's number of environments. Pass n_steps={max(lengths)}, or "
                "start all ranks with the same number of environments."
            )
        copy_from_first_rank(self.policy.state_dict().values())
        # Adam's moments too, because perhaps only rank 0 has loaded a checkpoint.
        copy_optimizer_from_first_rank(self.policy.optimizer, self.device)
        if this_rank() > 0:
            self.set_logger(configure(None, []))

    # ---------------------------------------------------------------- acting

    def predict(
        self,
        observation: Observation,
        state: Any = None,
        episode_start: npt.NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        action_masks: npt.ArrayLike | None = None,
    ) -> tuple[npt.NDArray[Any], Any]:
        """Return actions and the next state, see the policy's `predict`.

        Warns:
            UserWarning: The training environment returns masks, but none are passed here, so that
                all actions are allowed.
        """
        if action_masks is None and self._last_action_masks is not None:
            warnings.warn(
                "The training environment gives action masks, but `predict` got none, so it may "
                "choose forbidden actions. Pass `action_masks`, see rl3_sb3.ActionMasks. SB3's "
                "evaluate_policy and EvalCallback cannot.",
                stacklevel=2,
            )
        return self.policy.predict(observation, state, episode_start, deterministic, action_masks)

    # ---------------------------------------------------------------- exchange

    def start_from(
        self, policy: str | os.PathLike[str] | SequencePolicy, *, critic: bool = True
    ) -> bool:
        """Begin with the networks of another policy, such as a published one: fine-tuning.

        Call it before training: the counted steps stay, and Adam's moments are cleared. A critic
        that is not taken over stays the model's own; with `critic_first` it catches up before the
        actor changes.

        Args:
            policy: The folder of an exported policy, or a policy. It must be of this model's class
                and sizes, with the same actions and as many observed numbers. That these numbers
                mean the same is up to you.
            critic: Take over the critic too, if there is one that reads the same observations.
                Pass False if this model's rewards or discount are others.

        Returns:
            Whether the critic was taken over.

        Raises:
            PolicyFileError: The folder does not hold an exported policy.
            ValueError: The policy does not fit; the model is unchanged then.
        """
        if isinstance(policy, str | os.PathLike):
            policy = load_policy(policy, self.device)
        with_critic = take_networks(self.policy, policy, critic=critic)
        record = policy.training_record
        self.n_steps_before = 0 if record is None else record.n_steps
        self._n_iterations = 0
        return with_critic

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        environment: str | None = None,
        description: str = "",
        results: Mapping[str, Any] | None = None,
        actor_only: bool | None = None,
        weights: str = "float32",
    ) -> None:
        """Write the policy into a folder that is safe to load for others; see `load_policy`.

        The optimizer is not included: use `save` to continue training, and this to share a policy.

        Args:
            path: A new folder, or the folder of an earlier export, which is replaced.
            environment: Name of the training environment, for the model card. None: the id in the
                environment's spec.
            description: Further text for the model card.
            results: Results of the policy, numbers or texts by name, for the model card.
            actor_only: See `export_policy`.
            weights: See `export_policy`.

        Raises:
            ValueError: See `export_policy`.
        """
        record = training_record(
            self, environment=environment, description=description, results=results
        )
        export_policy(self.policy, path, record=record, actor_only=actor_only, weights=weights)

    # ---------------------------------------------------------------- environments and checkpoints

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Continue on another environment with the same spaces and number of environments.

        Raises:
            ValueError: Its spaces, horizon or number of environments do not fit. The model then
                keeps its environment.
        """
        wrapped = self._wrap_env(env, self.verbose)
        if wrapped.num_envs != self.n_envs:
            raise ValueError(
                f"`env` must have the model's number of environments, {self.n_envs}, got "
                f"{wrapped.num_envs}. To train on another number, save the model, and pass `env` "
                "to `TransformerPPO.load`."
            )
        with misfits_explained():
            self._lengths_for(wrapped)  # raises before anything changes
            super().set_env(wrapped, force_reset)

    def set_parameters(
        self,
        load_path_or_dict: str | TensorDict,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """Load parameters from a checkpoint or `get_parameters()`, either all of them or none.

        Raises:
            ValueError: The parameters do not fit this policy, which keeps its own.
        """
        if not isinstance(load_path_or_dict, dict):
            require_complete_checkpoint(load_path_or_dict)
        before = copy.deepcopy(self.get_parameters())
        try:
            super().set_parameters(load_path_or_dict, exact_match, device)
        except (RuntimeError, ValueError, KeyError) as error:
            # torch copies the parameters that fit before it raises an error.
            super().set_parameters(before, device=self.device)  # type: ignore[arg-type]
            raise ValueError(
                "`load_path_or_dict` must hold the parameters of a policy of the same spaces, "
                f"sizes and context length, got others: {error}. Make the policy with the saved "
                "one's arguments, or use `TransformerPPO.load`, which restores them."
            ) from error

    @classmethod
    def load(  # type: ignore[override]
        cls,
        path: str | pathlib.Path | io.BufferedIOBase,
        env: GymEnv | None = None,
        device: th.device | str = "auto",
        **kwargs: Any,
    ) -> Self:
        """Create a model from a checkpoint; see SB3's `BaseAlgorithm.load`.

        A checkpoint has SB3's format, which contains pickles: **loading one can run any code that
        its author put into it**. Load only files that you trust. For policies from strangers, ask
        for an exported folder, and use `load_policy`.

        Raises:
            ValueError: The file is truncated or not a checkpoint; `env` has other spaces or a
                horizon that does not fit; `policy_kwargs` define another policy; or an argument
                that replaces the checkpoint's is out of range.
            TypeError: An argument is not a number, or not one of the constructor's.
        """
        check_names(kwargs, {*inspect.signature(cls).parameters} - _NOT_LOADED | _LOADING)
        check_n_steps(kwargs.get("n_steps"))
        require_complete_checkpoint(path)
        # None means the default in the constructor; here it means the checkpoint's value.
        policy_kwargs = kwargs.pop("policy_kwargs", None)
        if kwargs.get("n_steps", ...) is None:
            del kwargs["n_steps"]
        if "stats_window_size" in kwargs:  # SB3's name of the attribute
            kwargs["_stats_window_size"] = kwargs.pop("stats_window_size")
        # Checkpoints of earlier versions store the buffer's class under its old module.
        own = {"rollout_buffer_class": SequenceRolloutBuffer}
        kwargs["custom_objects"] = own | (kwargs.get("custom_objects") or {})
        with misfits_explained(kwargs):
            model = super().load(path, env, device, **kwargs)
        if kwargs.get("cuda_graphs"):  # the checkpoint's value belongs to the training machine
            model._require_device_of_graphs()
        if policy_kwargs is not None:
            require_same_arguments(model.policy_class, model.policy_kwargs, policy_kwargs)
        return model
