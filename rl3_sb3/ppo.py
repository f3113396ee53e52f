"""PPO for policies with a transformer memory: whole sequences, and an actor that stops alone.

One iteration collects `n_steps` steps per environment with the attention cache, runs the critic
once over the finished sequences, and then minimises, for `n_epochs` epochs of minibatches,

    L = E[-min(rho A, clip(rho, 1 - eps, 1 + eps) A)] - c_ent E[entropy] + c_vf E[(V - R)^2],

rho being the probability ratio of current policy and behaviour, A the advantage (normalised per
minibatch), R = A + V_behaviour. After each epoch the exact KL(behaviour || current), averaged over
the whole rollout, is compared with `target_kl`. Past it the actor stops for this iteration, and the
critic, a separate network, trains on. A stopped actor has no gradients (None, not zeros), so Adam
leaves its weights and moments alone.

Boundaries: an episode's end empties its row of the attention cache; a new rollout empties all rows
and leaves the environments as they are. So an episode that still runs at a rollout's end goes on in
the next rollout with an empty memory, at position 0. Rollouts of a multiple of H steps never cut a
meta-episode of H.

Source: Schulman et al. 2017 (arXiv 1707.06347); details of RL3 (arXiv 2306.15909, Appendix C).
"""

import copy
import io
import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch as th
from gymnasium.vector import VectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule, TensorDict
from stable_baselines3.common.utils import FloatSchedule, explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch.distributions import kl_divergence

from rl3_sb3.buffer import SequenceRolloutBuffer
from rl3_sb3.checkpoint import require_complete_checkpoint
from rl3_sb3.distribution import check_action_space
from rl3_sb3.exchange.folder import export_policy
from rl3_sb3.exchange.record import TrainingRecord
from rl3_sb3.lengths import environment_id, rollout_and_context_length
from rl3_sb3.losses import actor_terms, value_loss
from rl3_sb3.markov import MarkovPolicy
from rl3_sb3.policy import TransformerPolicy

# What an exported policy says about its training.
_RECORDED = (
    "learning_rate",
    "n_steps",
    "n_envs",
    "batch_size",
    "n_epochs",
    "gamma",
    "gae_lambda",
    "clip_range",
    "normalize_advantage",
    "ent_coef",
    "vf_coef",
    "max_grad_norm",
    "target_kl",
)

# Steps of a forward pass without gradients on a CPU; measured: 1000 to 2000 are level, 4000 slower.
_CPU_INFERENCE_STEPS = 2000


class TransformerPPO(PPO):
    """PPO whose policy remembers its episode through attention.

    Arguments not listed mean what they mean in SB3's PPO.

    Args:
        policy: "TransformerPolicy", "MarkovPolicy" (no memory), or a class with their interface.
        env: The environment, or its id. Episodes must fit the context.
        learning_rate: Adam's, for actor and critic; a number or a schedule of the remaining
            progress (1 to 0).
        n_steps: Steps per environment and iteration. None takes the environment's attribute
            `horizon`, or else its spec's `max_episode_steps`. Must be a multiple of `horizon`.
        batch_size: Steps (not sequences) per minibatch, met as nearly as whole sequences and equal
            minibatches allow.
        n_epochs: Passes over each rollout.
        gamma: Discount, in [0, 1].
        gae_lambda: In [0, 1].
        clip_range: Clipping of the probability ratio, > 0; a number or a schedule.
        normalize_advantage: Normalise advantages in each minibatch.
        ent_coef: Entropy coefficient; a number or a schedule.
        vf_coef: Value loss coefficient.
        max_grad_norm: Clip the gradient's norm; None does not.
        target_kl: The actor stops when the mean KL divergence from the behaviour exceeds it after
            an epoch; None never stops it.
        stats_window_size: See SB3.
        tensorboard_log: See SB3.
        policy_kwargs: Arguments of the policy class. `context_length` None or left out covers the
            longest sequence: the smaller of `n_steps` and the environment's episode limit.
        verbose: See SB3.
        seed: Seeds Python, NumPy, torch and the environment.
        device: "auto" takes a CUDA device if there is one.

    Raises:
        ValueError: An argument is out of range, no `n_steps` can be found, it is no multiple of the
            environment's `horizon`, or the context is too short.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "TransformerPolicy": TransformerPolicy,
        "MarkovPolicy": MarkovPolicy,
    }
    policy: TransformerPolicy
    rollout_buffer: SequenceRolloutBuffer

    def __init__(
        self,
        policy: str | type[TransformerPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int | None = None,
        batch_size: int = 4096,
        n_epochs: int = 8,
        gamma: float = 0.99,
        gae_lambda: float = 0.3,
        clip_range: float | Schedule = 0.2,
        normalize_advantage: bool = True,
        ent_coef: float | Schedule = 0.01,
        vf_coef: float = 0.5,
        max_grad_norm: float | None = None,
        target_kl: float | None = 0.01,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if isinstance(env, VectorEnv):
            raise ValueError(
                f"`env` must have Stable-Baselines3's interface, got the vector environment {env}. "
                "Pass GymnasiumVecEnv(env)."
            )
        _check_at_least("n_steps", n_steps, 1)
        _check_at_least("batch_size", batch_size, 2 if normalize_advantage else 1)
        _check_at_least("n_epochs", n_epochs, 1)
        _check_at_least("vf_coef", vf_coef, 0)
        _check_at_least("ent_coef", ent_coef, 0)
        _check_at_least("learning_rate", learning_rate, 0)
        for name, fraction in (("gamma", gamma), ("gae_lambda", gae_lambda)):
            if not 0 <= fraction <= 1:
                raise ValueError(f"`{name}` must be in [0, 1], got {fraction}.")
        if not callable(clip_range) and not clip_range > 0:
            raise ValueError(f"`clip_range` must be above 0, got {clip_range}.")
        for name, optional in (("target_kl", target_kl), ("max_grad_norm", max_grad_norm)):
            if optional is not None and not optional > 0:
                raise ValueError(f"`{name}` must be above 0, got {optional}. Pass None for none.")
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            # A stand-in that passes SB3's checks of minibatches that we do not cut as it does. The
            # true number may depend on the environment; load() knows it only after this call.
            n_steps=batch_size,
            batch_size=batch_size,
            n_epochs=n_epochs,
            gamma=gamma,
            gae_lambda=gae_lambda,
            clip_range=clip_range,
            normalize_advantage=normalize_advantage,
            ent_coef=ent_coef,  # type: ignore[arg-type] # a schedule too, see _setup_model
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
        self.n_steps = n_steps or 0  # 0: not known before _setup_model
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        check_action_space(self.action_space)
        if self.env is not None:
            self.n_steps, context_length = self._lengths_for(self.env)
            self.policy_kwargs = {**self.policy_kwargs, "context_length": context_length}
        super()._setup_model()
        self.ent_coef = FloatSchedule(self.ent_coef)  # type: ignore[assignment]

    def _lengths_for(self, env: VecEnv) -> tuple[int, int]:
        given = self.policy_kwargs.get("context_length")
        return rollout_and_context_length(env, self.n_steps or None, given)

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        # The last rollout can overshoot total_timesteps, and a schedule must not turn negative.
        super()._update_current_progress_remaining(num_timesteps, total_timesteps)
        self._current_progress_remaining = max(0.0, self._current_progress_remaining)

    # ---------------------------------------------------------------- collecting

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the buffer with one rollout, remembering through the attention cache.

        Args:
            env: The training environment.
            callback: Called at every step and around the rollout.
            rollout_buffer: A `SequenceRolloutBuffer`.
            n_rollout_steps: Steps per environment.

        Returns:
            False if the callback stopped it. The half rollout is dropped, and because its memory is
            gone the next `learn` resets the environments.
        """
        assert isinstance(rollout_buffer, SequenceRolloutBuffer), "made by _setup_model"
        assert self._last_obs is not None, "set by _setup_learn"
        complete = False
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        try:
            complete = self._collect_steps(env, callback, rollout_buffer, n_rollout_steps)
        finally:
            if not complete:
                self._last_obs = None
        if not complete:
            return False
        with th.no_grad():
            rollout_buffer.finish(
                lambda tokens: self.policy.sequence_values(tokens, bootstrap=True),
                lambda params, actions: self.policy.distribution(params).log_prob(actions),
                self._inference_steps(),
            )
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _collect_steps(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: SequenceRolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        state = self.policy.new_state(env.num_envs)
        for _ in range(n_rollout_steps):
            assert self._last_obs is not None, "set by the step before"
            with th.no_grad():
                tokens = self.policy.to_tokens(self._last_obs)
                params, state = self.policy.step(tokens, state)
                actions = self.policy.distribution(params).sample()
            rollout_buffer.add_choice(tokens=tokens, actions=actions, params=params)
            new_obs, rewards, dones, infos = env.step(self.policy.to_env_actions(actions))
            dones = np.asarray(dones, dtype=bool)
            rollout_buffer.add_outcome(rewards, dones)
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            if dones.any():
                self._add_truncated(rollout_buffer, dones, infos)
                state = state.reset_rows(dones)
        running = np.flatnonzero(~dones)
        if len(running) > 0:
            rollout_buffer.add_tokens_after(running, self.policy.to_tokens(new_obs)[running])
        return True

    def _add_truncated(
        self, rollout_buffer: SequenceRolloutBuffer, dones: Any, infos: list[dict[str, Any]]
    ) -> None:
        rows = np.array(
            [
                i
                for i in np.flatnonzero(dones)
                if infos[i].get("TimeLimit.truncated", False)
                and infos[i].get("terminal_observation") is not None
            ],
            dtype=np.int64,
        )
        if len(rows) == 0:
            return
        last = [infos[i]["terminal_observation"] for i in rows]
        batch = (
            {key: np.stack([obs[key] for obs in last]) for key in last[0]}
            if isinstance(last[0], dict)
            else np.stack(last)
        )
        rollout_buffer.add_tokens_after(rows, self.policy.to_tokens(batch))

    # ---------------------------------------------------------------- training

    def train(self) -> None:
        """Update actor and critic from the rollout."""
        self.policy.set_training_mode(True)
        optimizer = self.policy.optimizer
        self._update_learning_rate(optimizer)
        progress = self._current_progress_remaining
        clip_range = self.clip_range(progress)  # type: ignore[operator] # SB3 makes it a schedule
        ent_coef = self.ent_coef(progress)  # type: ignore[operator] # a schedule since _setup_model
        actor_logs: list[th.Tensor] = []  # the ActorTerms of each minibatch
        value_losses: list[th.Tensor] = []
        actor_epochs, kl = 0, 0.0
        actor_trains = True
        for _ in range(self.n_epochs):
            for batch in self.rollout_buffer.get(self.batch_size):
                critic_loss = value_loss(self.policy.sequence_values(batch.tokens), batch)
                loss = self.vf_coef * critic_loss
                value_losses.append(critic_loss.detach())
                if actor_trains:
                    distribution = self.policy.distribution(
                        self.policy.sequence_params(batch.tokens)
                    )
                    terms = actor_terms(distribution, batch, clip_range, self.normalize_advantage)
                    loss = loss + terms.policy_loss - ent_coef * terms.entropy
                    actor_logs.append(th.stack(terms).detach())
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
                if self.max_grad_norm is not None:
                    th.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                optimizer.step()
            if actor_trains:
                actor_epochs += 1
                if self.target_kl is not None:
                    kl = self._mean_kl()
                    actor_trains = kl <= self.target_kl
        if self.target_kl is None:
            kl = self._mean_kl()  # to be logged; no epoch depended on it
        self._n_updates += self.n_epochs
        policy_loss, entropy, clip_fraction = th.stack(actor_logs).mean(0).tolist()
        self._record_training(
            policy_gradient_loss=policy_loss,
            entropy_loss=-entropy,
            clip_fraction=clip_fraction,
            value_loss=th.stack(value_losses).mean().item(),
            kl=kl,
            actor_epochs=actor_epochs,
            clip_range=clip_range,
            ent_coef=ent_coef,
        )

    @th.no_grad()
    def _mean_kl(self) -> float:
        """Return the exact KL(behaviour || current), averaged over all steps of the rollout."""
        total = th.zeros((), device=self.device)
        n_steps = 0
        for batch in self.rollout_buffer.get(self._inference_steps(), shuffle=False):
            behaviour = self.policy.distribution(batch.params)
            current = self.policy.distribution(self.policy.sequence_params(batch.tokens))
            kl = kl_divergence(behaviour, current)
            total += kl.sum() if batch.mask is None else kl[batch.mask].sum()
            n_steps += kl.numel() if batch.mask is None else int(batch.mask.sum())
        return total.item() / n_steps

    def _inference_steps(self) -> int:
        # Without gradients a CPU is a quarter faster on pieces that stay in its cache; a GPU wants
        # few large ones.
        return self.batch_size if self.device.type == "cuda" else _CPU_INFERENCE_STEPS

    def _record_training(self, **metrics: float) -> None:
        for name, value in metrics.items():
            self.logger.record(f"train/{name}", value)
        buffer = self.rollout_buffer
        explained = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/explained_variance", explained)
        if hasattr(self.policy, "log_std"):
            self.logger.record("train/std", self.policy.log_std.exp().mean().item())
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "TransformerPPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train for (at least) `total_timesteps` steps; see SB3's PPO."""
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    # ---------------------------------------------------------------- exchange

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        environment: str | None = None,
        description: str = "",
        results: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the policy into a folder that anyone can load without trust; see `load_policy`.

        The optimizer stays behind: `save` is for training on, this for giving away.

        Args:
            path: A new folder, or the folder of an earlier export, which is replaced.
            environment: What it was trained on, for the model card. None takes the id in the
                environment's spec.
            description: What the card says besides.
            results: What the policy achieves: numbers or texts by name, for the card.

        Raises:
            ValueError: See `export_policy`.
        """
        if self.get_vec_normalize_env() is not None:
            warnings.warn(
                "`env` is a VecNormalize, whose statistics are not exported: the policy will act "
                "as it does here only on observations normalised by them. Give its `save`d file "
                "too, and say so in `description`.",
                stacklevel=2,
            )
        if environment is None:
            environment = environment_id(self.env)
        record = TrainingRecord(
            algorithm=type(self).__name__,
            environment=environment,
            description=description,
            n_steps=self.num_timesteps,
            seed=self.seed,
            hyper_parameters={name: _first_and_last(getattr(self, name)) for name in _RECORDED},
            results=results or {},
        )
        export_policy(self.policy, path, record=record)

    # ---------------------------------------------------------------- environments and checkpoints

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Continue on another environment with the same spaces and number of environments.

        Raises:
            ValueError: Spaces or horizon do not fit; the model keeps its environment.
        """
        wrapped = self._wrap_env(env, self.verbose)
        self._lengths_for(wrapped)  # raises before anything changes
        super().set_env(wrapped, force_reset)

    def set_parameters(
        self,
        load_path_or_dict: str | TensorDict,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """Load parameters from a checkpoint or `get_parameters()`; all of them or none.

        Raises:
            ValueError: They do not fit this policy. It keeps its own.
        """
        if not isinstance(load_path_or_dict, dict):
            require_complete_checkpoint(load_path_or_dict)
        before = copy.deepcopy(self.get_parameters())
        try:
            super().set_parameters(load_path_or_dict, exact_match, device)
        except (RuntimeError, ValueError, KeyError) as error:
            # torch copies what fits before it complains about what does not
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
        """Make a model from a checkpoint; see SB3's `BaseAlgorithm.load`.

        A checkpoint is SB3's own format, which contains pickles: **loading one can run any code
        that its author put into it**. Load only files that you trust; a stranger's policy should
        come as an exported folder, for `load_policy`.

        Raises:
            ValueError: The file is truncated or no checkpoint, or `env` has other spaces or a
                horizon that does not fit.
        """
        require_complete_checkpoint(path)
        try:
            return super().load(path, env, device, **kwargs)
        except ValueError as error:
            if env is not None and any(w in str(error) for w in ("horizon", "context_length")):
                raise ValueError(
                    f"`env` must have episodes that fit the checkpoint, got others: {error} "
                    "The checkpoint's rollouts and context are fixed: build the environment with "
                    "the horizon that the model was trained for."
                ) from error
            if "spaces do not match" in str(error):
                raise ValueError(
                    f"`env` must have the spaces of the checkpoint, got others: {error}. Build the "
                    "environment the model was trained on, or load without `env` to predict."
                ) from error
            raise


def _first_and_last(value: Any) -> Any:
    """Return a number as it is, and a schedule as its first and last value if they differ."""
    if not callable(value):
        return value
    first, last = float(value(1.0)), float(value(0.0))
    return first if first == last else [first, last]


def _check_at_least(name: str, value: float | Schedule | None, least: int) -> None:
    # not `value < least`, which lets NaN pass
    if value is not None and not callable(value) and not value >= least:
        raise ValueError(f"`{name}` must be at least {least}, got {value}.")
