"""Chain the episodes of a batch of tasks into meta-episodes."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from vamdp.inner_batch import is_refusal, task_marks
from vamdp.inner_env import asks_for_new_task, require_vector
from vamdp.seeds import Seeds, seed_of_each
from vamdp.space_trees import as_info, read_batch
from vamdp.vector.batched_steps import (
    Step,
    action_indices,
    final_observations,
    inner_seed,
    merge_infos,
    read_outcome,
    require_same_step,
)
from vamdp.vector_bases import AnyVectorWrapper
from vamdp.wrappers.meta_setup import (
    LARGEST_SHOWN,
    MetaSetup,
    unshowable_reward,
    without_statistics,
)


class MetaEpisode(MetaSetup, AnyVectorWrapper):
    """The batched `vamdp.MetaEpisode`; all meta-episodes begin and end together.

    At step `horizon`, terminated is True everywhere and the observation is the first of the next
    meta-episodes. infos then has "final_obs", a float32 array (num_envs, size), and "final_info",
    both with their masks. The ends of inner episodes appear only as "episode_end" (num_envs,). In
    steps before the last, "last_observation" with its mask holds the last observations of episodes
    that ended: an array, a Dict of arrays, or, for a Tuple and anything batched as a tuple, one
    object per environment.

    Args:
        env: A vector environment with Discrete actions that restarts episodes in the same step.
        horizon: H, the number of steps in a meta-episode, at least 1.
        task_horizon: Divisor of episode_time, at least 1; None as in `vamdp.MetaEpisode`.
        reward_scale: Divisor of previous_reward, above 0.
        flatten: False gives a Dict of the parts instead of one array.

    Attributes:
        horizon: H.
        layout: Name of a part -> its slice of the vector.
        action_parts: Names of the parts with one entry per action; None if unknown.

    Raises:
        ValueError: An argument is out of range, or `env` restarts episodes in the next step.
        TypeError: `env` is a single environment.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        horizon: int,
        *,
        task_horizon: int | None = None,
        reward_scale: float = 1.0,
        flatten: bool = True,
    ) -> None:
        require_vector(env, "MetaEpisode")
        super().__init__(env)
        require_same_step(env)
        self._set_up(
            env, env.single_observation_space, env.single_action_space, horizon=horizon,
            task_horizon=task_horizon, reward_scale=reward_scale, flatten=flatten,
        )  # fmt: skip
        self.single_observation_space = self._parts.space
        self.observation_space = batch_space(self._parts.space, env.num_envs)
        self._tau = np.zeros(env.num_envs, np.int64)  # steps since the episodes began
        self._returns = np.zeros(env.num_envs)
        self._rows = np.arange(env.num_envs)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start meta-episodes in new tasks, as `vamdp.MetaEpisode.reset` does.

        Options other than "task" apply to the first episodes only. If this raises, no meta-episodes
        are running, unless `env` rejected the options before it changed anything.

        Raises:
            ValueError: The options have a "reset_mask", but meta-episodes must begin together.
        """
        if options and options.get("reset_mask") is not None:
            raise ValueError(
                "`options['reset_mask']` must be left out: all meta-episodes begin together."
            )
        seeds = seed_of_each(seed, self.num_envs)
        begins_task = any(s is not None for s in seeds) or asks_for_new_task(options)
        if None in seeds and not asks_for_new_task(options) and not self._task_is_chosen:
            options = {**(options or {}), "new_task": True}
        options = self._with_task_set(options)
        before = task_marks(self.env, options)
        try:
            observations, infos = self.env.reset(seed=inner_seed(seed, seeds), options=options)
        except BaseException as error:
            if not is_refusal(error, options, self.env, before, begins_task):
                self._t = self.horizon
            raise
        self._t = self.horizon  # until everything below has succeeded
        observations = read_batch(self._inner_space, observations, self.num_envs)
        self._task_is_chosen = False
        self._tau[:] = 0
        self._returns[:] = 0
        self._start_time = time.perf_counter()
        vectors = np.zeros((self.num_envs, self._parts.size), np.float32)
        self._inner.write_batch(observations, vectors[:, : self._own_start])
        self._t = 0
        return self._parts.present(vectors), without_statistics(infos)

    def step(self, actions: Any) -> Step:
        """Step all environments; at step `horizon`, begin the next meta-episodes.

        Raises:
            ResetNeeded: `reset` was not called, or not since the task changed or a step failed.
            ValueError: An action is out of range (no environment is stepped), or an environment
                returns a reward that is not finite or does not fit into 32 bits, a `terminated` or
                `truncated` that is not a bool, or an observation of another shape than its space's
                or with an integer outside it (the meta-episodes are then over). The bounds of a Box
                are not checked.
            TypeError: NumPy cannot read a returned value (the meta-episodes are then over).
        """
        if self._t >= self.horizon:
            raise ResetNeeded("No meta-episodes are running: call reset() before step().")
        n = self.num_envs
        indices = action_indices(actions, self._first_action, self._n_actions, n)
        t, self._t = self._t + 1, self.horizon  # after an error below, reset is needed
        observations, *outcome, infos = self.env.step(actions)
        infos = dict(infos)
        observations = read_batch(self._inner_space, observations, n)
        rewards, terminated, truncated = read_outcome(n, *outcome)
        with np.errstate(over="ignore"):  # an overflow is reported below
            shown_rewards = rewards / self.reward_scale
        fits = np.abs(shown_rewards) <= LARGEST_SHOWN  # False for NaN
        if not fits.all():
            i = int(np.argmin(fits))
            raise unshowable_reward(f"rewards[{i}]", float(rewards[i]), self.reward_scale)
        self._tau += 1
        self._returns += rewards
        ended = terminated | truncated
        over = t == self.horizon
        last = observations
        n_ended = np.count_nonzero(ended)
        if n_ended:
            last = final_observations(self._inner_space, infos, ended, observations)
        inner_final = infos.pop("final_info", {})
        infos = without_statistics(infos)
        for name in ("final_obs", "_final_obs", "_final_info"):
            infos.pop(name, None)
        if over:
            observations = last
        else:
            infos["episode_end"], infos["_episode_end"] = ended, np.ones(n, np.bool_)
            self._tau[ended] = 0
            if n_ended:
                infos["last_observation"] = as_info(self._inner_space, last)
                infos["_last_observation"] = ended.copy()
        vectors = np.zeros((n, self._parts.size), np.float32)
        start = self._own_start
        self._inner.write_batch(observations, vectors[:, :start])
        vectors[self._rows, start + indices] = 1
        start += self._n_actions
        vectors[:, start] = shown_rewards
        vectors[:, start + 1] = self._tau / self.task_horizon
        vectors[:, start + 2] = t / self.horizon
        shown = self._parts.present(vectors)
        meta_ends = np.ones(n, np.bool_) if over else np.zeros(n, np.bool_)
        if over:
            shown, infos = self._begin_next(shown, infos, inner_final, ended)
        else:
            self._t = t
        return shown, rewards, meta_ends, np.zeros(n, np.bool_), infos

    def _begin_next(
        self,
        final: Any,
        infos: dict[str, Any],
        inner_final: dict[str, Any],
        ended: npt.NDArray[np.bool_],
    ) -> tuple[Any, dict[str, Any]]:
        """Reset after the last step; move its observation and infos to the final ones."""
        everywhere = np.ones(self.num_envs, np.bool_)
        # If an inner episode ended in the last step, the outer infos belong to its restart.
        inner_final = without_statistics(inner_final)
        final_info = merge_infos(infos, inner_final, ended)
        final_info["episode_end"], final_info["_episode_end"] = ended, everywhere.copy()
        if self._has_recorder:
            seconds = round(time.perf_counter() - self._start_time, 6)
            final_info["episode"] = {
                "r": self._returns.copy(),
                "l": np.full(self.num_envs, self.horizon),
                "t": np.full(self.num_envs, seconds),
            }
            final_info["_episode"] = everywhere.copy()
        observations, infos = self.reset()
        infos = {
            **infos,
            "final_obs": final,
            "_final_obs": everywhere,
            "final_info": final_info,
            "_final_info": everywhere.copy(),
        }
        return observations, infos
