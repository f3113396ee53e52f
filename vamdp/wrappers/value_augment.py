"""Adding values to observations: the VAMDP of RL3 (arXiv 2306.15909, section 4)."""

from operator import index
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs

from vamdp.argument_checks import as_options
from vamdp.domains.grids.view import Thought
from vamdp.estimators.arguments import as_key
from vamdp.estimators.choice import is_built_in
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.model_based.value_estimator import ValueEstimator
from vamdp.estimators.row_by_row import RowByRow
from vamdp.estimators.running_bins import RunningBins
from vamdp.estimators.table import DEFAULT
from vamdp.inner_env import (
    StateKey,
    as_end,
    as_reward,
    asks_for_new_task,
    discrete_actions,
    find_owner,
    is_refusal,
    plain_seed,
    require_single,
    seed_or_none,
)
from vamdp.wrappers.one_task import OneTask
from vamdp.wrappers.value_setup import ValueSetup


class ValueAugment(ValueSetup, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds to each observation what a learner of the present task thinks of the present state.

    The observation is a float32 vector of these parts, in this order (A actions); the three last
    are the learner's, here those of the built-in ones:

        "state"      the inner observation, one-hot if Discrete, else gymnasium.spaces.flatten
        "advantage"  (A,) (Q - max Q) / value_scale; a masked action reads as the worst allowed one
        "value"      (1,) max Q / value_scale
        "count"      (A,) visits of each action / count_scale

    Args:
        env: an environment with Discrete actions. Masks in info["action_mask"] are respected.
        task_horizon: steps of one episode at most, the planning's horizon; at least 1.
        value_scale: what values are divided by, above 0; choose it so that they are about 1.
        count_scale: what counts are divided by, above 0.
        state_key: observation -> int or tuple of numbers, equal for equal states (with an injected
            estimator any hashable): states with one key are one to the learner, a group. Or
            `StateBins`. None: a Discrete observation is its own key; else the environment's
            `state_key`; else the tuple of its numbers, if all are whole (MultiDiscrete,
            MultiBinary, a Dict or Tuple of Discretes); else, for up to 8 real numbers, bins within
            the space's bounds, or of running scales where it has none. Learners with `takes_reals`
            get the real numbers themselves. A callable cannot travel in an EnvSpec's JSON.
        show_state: whether the observation has the part "state".
        flatten: False gives a Dict of the parts instead of one vector.
        estimator: the learner. A name of `vamdp.estimators.BUILT_INS`; None is "model-based", a
            `ValueEstimator`. Or one of your own: an object with the methods update, q_values,
            counts and forget of `ValueEstimator`, any `vamdp.estimators.Estimator` of one task, or
            a function (n_tasks, n_actions) -> one of these.
        **options: the options of a built-in learner, such as `EstimatorOptions`.

    Attributes:
        layout: name of a part -> slice of the vector.
        action_parts: names of the parts with one entry per action; None: the learner does not say.
        estimator: the learner, to look at or to ask: the object that was passed, else the one that
            was made. Behind bins of running scales its states are the bins.

    Raises:
        ValueError: an argument is out of its range, the actions are not Discrete, or other
            observations have no `state_key`.
        TypeError: `env` is a vector environment, `estimator` no learner, or an option unknown.

    What is learned must hold in the next episode: `vamdp.check_tasks` plays an environment and says
    whether it does.

    Example:
        >>> import gymnasium, vamdp
        >>> env = vamdp.ValueAugment(gymnasium.make("vamdp/Bandit-v0"), task_horizon=1)
        >>> observation, info = env.reset(seed=0)
        >>> env.layout["advantage"], observation.shape
        (slice(1, 6, None), (12,))
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        task_horizon: int,
        value_scale: float = 1.0,
        count_scale: float = 10.0,
        state_key: StateKey | None = None,
        show_state: bool = True,
        flatten: bool = True,
        estimator: Any = None,
        **options: Any,
    ) -> None:
        require_single(env, "ValueAugment")
        RecordConstructorArgs.__init__(
            self, task_horizon=task_horizon, value_scale=value_scale, count_scale=count_scale,
            state_key=state_key, show_state=show_state, flatten=flatten, estimator=estimator,
            **options,
        )  # fmt: skip
        gymnasium.Wrapper.__init__(self, env)
        if estimator is None or (isinstance(estimator, str) and estimator == DEFAULT):
            as_options(EstimatorOptions, {"task_horizon": task_horizon, **options})
            estimator = ValueEstimator(
                int(discrete_actions(env.action_space).n), task_horizon=task_horizon, **options
            )
            options = {}
        self._set_up(
            env, 1, env.observation_space, env.action_space, task_horizon=task_horizon,
            value_scale=value_scale, count_scale=count_scale, state_key=state_key,
            show_state=show_state, flatten=flatten, options=options,
            estimator=estimator.batch if type(estimator) is ValueEstimator else estimator,
        )  # fmt: skip
        self.estimator: Any = self._estimator
        if type(estimator) is ValueEstimator:
            self.estimator = estimator
        else:
            if isinstance(self.estimator, RunningBins):
                (self.estimator,) = self.estimator.learners
            if isinstance(self.estimator, RowByRow):
                (self.estimator,) = self.estimator.estimators
        self._learner: Any = OneTask(self._estimator, self._scales, self._own_part)
        # Not a subclass, whose own methods would be passed by.
        if is_built_in(self._estimator) and hasattr(self._estimator, "fast_step"):
            self._learner = self._estimator.fast_step(self._scales, self._own_part.start)
        space: Any = env.observation_space
        is_discrete = isinstance(space, spaces.Discrete)
        self._lowest, self._n_observations = (
            (int(space.start), int(space.n)) if is_discrete else (0, 0)
        )
        self.observation_space = self._parts.space
        self._is_flat = flatten
        self._zeros = np.zeros(self._parts.size, np.float32)
        self._is_running = False
        self._begins_task = False  # one that the learner was not told of: a reset failed
        # Where what a learner draws in a task begins, unless a seed was given.
        self._task_owner = find_owner(env, "task_seed")
        # Where there is a picture of tiles (vamdp.domains.grids.view). It asks about observations
        # of its own environment: where a wrapper changed these, they would be read wrongly.
        canvas = find_owner(env, "grid_view")
        is_readable = canvas is not None and canvas.observation_space == env.observation_space
        self._view: Any = canvas.grid_view if is_readable else None
        # The window shall show what was learned in the same step.
        self._follows = self._view is not None and self._view.leave_to_wrapper()

    def forget(self) -> None:
        """Begin a new task: clear what was learned."""
        self._estimator.begin_tasks(np.ones(1, np.bool_), [None])

    def _begin_task(self, seed: int | None) -> None:
        self._begins_task = True  # again with the next reset, should the learner fail in this one
        if seed is None and self._task_owner is not None:
            seed = seed_or_none(self._task_owner.task_seed)
        self._estimator.begin_tasks(np.ones(1, np.bool_), [seed])
        self._begins_task = False

    def _task_changed(self) -> None:
        self._is_running = False
        self._begin_task(None)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; forget if the seed or the options begin a new task.

        If it fails, no episode is running, unless options were refused.
        """
        seed = plain_seed(seed)
        options = self._with_task_set(options)
        begins_task = seed is not None or asks_for_new_task(options)
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except BaseException as error:
            if not is_refusal(error, options):
                self._begins_task |= begins_task  # it may have changed: forget with the next reset
                self._is_running = False
            raise
        self._is_running = False  # until all below succeeded
        if begins_task or self._begins_task:
            self._begin_task(seed)
        vector = self._zeros.copy()
        self._learner.begin(self._read(observation, vector), info.get("action_mask"))
        self._learner.show(vector)
        self._is_running = True
        if self._follows:
            self.render()
        return (vector if self._is_flat else self._parts.present(vector)), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment, learn from the transition, and show the renewed values.

        Raises:
            ResetNeeded: no episode is running: none was begun, or it terminated or failed.
            ValueError: the action is out of range (nothing is stepped then), or the environment
                gives a reward that is no finite number, an end that is no bool or an impossible
                state (nothing is learned then, and the episode is over).
        """
        if not self._is_running:
            raise ResetNeeded("No episode is running: call reset() before step().")
        try:  # `place_of`, without the call: this is the hot path
            i = index(action) - self._first_action
        except TypeError:
            i = -1
        if not 0 <= i < self._n_actions:
            raise ValueError(f"`action` must be in {self.action_space}, got {action!r}.")
        self._is_running = False  # an error below loses a transition: no next one may follow it
        observation, reward, terminated, truncated, info = self.env.step(action)
        if type(reward) is not float:
            reward = as_reward(reward)
        if type(terminated) is not bool:
            terminated = as_end("terminated", terminated)
        if type(truncated) is not bool:
            truncated = as_end("truncated", truncated)
        vector = self._zeros.copy()
        key = self._read(observation, vector)
        self._learner.step(i, reward, key, terminated, info.get("action_mask"), vector)
        self._is_running = not terminated
        shown = vector if self._is_flat else self._parts.present(vector)
        if self._follows:
            self.render()
        return shown, reward, terminated, truncated, info

    def render(self) -> Any:
        """Render the environment; a picture of tiles has the learner's values of them, too."""
        if self._view is None:
            return self.env.render()
        with self._view.lent(self._think):
            return self.env.render()

    def _think(self, observation: Any) -> Thought:
        """What the learner has of an observation's state."""
        key = index(observation) if self._state_key is None else self._key(observation)
        learner = self.estimator
        if not hasattr(learner, "q_values"):  # an estimator need not have it
            return Thought()
        # One of a batch of tasks answers in rows.
        is_batch = learner is self._estimator
        state = [key] if is_batch else key
        Q, n_visits = learner.q_values(state), int(np.sum(learner.counts(state)))
        cluster = learner.abstract_state(state) if hasattr(learner, "abstract_state") else None
        if n_visits == 0 and not np.any(Q):
            return Thought(cluster=-1 if cluster is None else cluster)
        # A learner of one's own need not have it; ours leaves masked actions out.
        value = learner.value(state) if hasattr(learner, "value") else np.max(Q)
        return Thought(float(np.max(value)), n_visits, -1 if cluster is None else cluster)

    def _read(self, observation: Any, vector: npt.NDArray[np.float32]) -> Any:
        """Write an observation into a vector (size,) of zeros; returns the key of its state."""
        if self._n_observations:  # Discrete
            try:
                place = index(observation) - self._lowest
            except TypeError:
                place = -1
            if not 0 <= place < self._n_observations:
                raise ValueError(
                    f"The observation of `env` must be in {self.env.observation_space}, got "
                    f"{observation!r}."
                )
            if self._encoder is not None:
                vector[place] = 1
            if self._state_key is None:
                return place + self._lowest
        elif self._encoder is not None:
            self._encoder.write(observation, vector[: self._encoder.size])
        return self._key(observation)

    def _key(self, observation: Any) -> Any:
        assert self._state_key is not None, "looked for on construction"
        key = self._state_key(observation)
        if type(key) is int or type(key) is tuple:
            return key
        return as_key("state_key(observation)", key)
