"""Add values to observations: the value-augmented MDP of RL3 (arXiv 2306.15909, section 4)."""

from operator import index
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs

from vamdp.argument_checks import as_options
from vamdp.domains.grids.view import GridView, Thought
from vamdp.estimators.choice import writes_finite
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.model_based.value_estimator import ValueEstimator
from vamdp.estimators.row_by_row import RowByRow
from vamdp.estimators.running_bins import RunningBins
from vamdp.estimators.state_arguments import LARGEST_INTEGER, as_key
from vamdp.estimators.table import DEFAULT
from vamdp.inner_batch import is_refusal, task_marks
from vamdp.inner_env import (
    StateKey,
    as_end,
    as_reward,
    asks_for_new_task,
    discrete_actions,
    find_owner,
    require_single,
    seed_or_none,
)
from vamdp.seeds import plain_seed
from vamdp.wrappers.one_task import OneTask
from vamdp.wrappers.recorded import Recorded
from vamdp.wrappers.state_encoder import read_numbers
from vamdp.wrappers.value_setup import ValueSetup


class ValueAugment(ValueSetup, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds a learner's estimates for the current state to each observation.

    The observation is a float32 vector of these parts, in this order (A actions). The last three
    come from the learner; the built-in learners show

        "state"      the inner observation, one-hot if Discrete, else gymnasium.spaces.flatten
        "advantage"  (A,) (Q - max Q) / value_scale; a masked action gets the worst allowed one's
        "value"      (1,) max Q / value_scale
        "count"      (A,) visits of each action / count_scale

    What the agent learns in one episode must hold in the next episode of the task. Call
    `vamdp.check_tasks` to find out whether it does.

    Args:
        env: An environment with Discrete actions. Masks in info["action_mask"] are respected.
        task_horizon: Maximum number of steps in one episode, at least 1. Learners plan that far.
        value_scale: Divisor of the values, above 0. Choose it so that scaled values are about 1.
        count_scale: Divisor of the counts, above 0.
        state_key: Function observation -> int or tuple of numbers, the key of the state; or
            `StateBins`. The learner treats states with equal keys as one state. An estimator with
            `takes_keys` accepts any hashable key. With None, the first of these that applies is the
            key: a Discrete observation itself; the environment's own `state_key`; the tuple of the
            observation's integers (MultiDiscrete, MultiBinary, a Dict or Tuple of Discretes); for
            up to 8 real numbers, bins within the space's bounds, or bins that adapt to the data if
            the space has no bounds. Learners with `takes_reals` get the real numbers instead. An
            EnvSpec with a function here cannot be saved as JSON.
        show_state: Whether the observation has the part "state".
        flatten: False gives a Dict of the parts instead of one vector.
        estimator: The learner. None or "model-based" is a `ValueEstimator`; the other built-in
            names are in `vamdp.estimators.BUILT_INS`. Or a custom learner: an object with the
            methods update, q_values, counts and forget of `ValueEstimator`, any
            `vamdp.estimators.Estimator` of one task, a function (n_tasks, n_actions) -> one of
            these, or a `vamdp.estimators.Learner`. Environments made from the spec of this one get
            copies of a learner object.
        **options: Options of a built-in learner, such as those of `EstimatorOptions`, or of a
            `Learner`.

    Attributes:
        layout: Name of a part -> its slice of the vector.
        action_parts: Names of the parts with one entry per action; None if the learner does not
            declare them.
        estimator: The learner, for inspection: the object that was passed, or the one that was
            created. If the bins adapt to the data, its states are the bins.

    Raises:
        ValueError: An argument is out of range, the actions are not Discrete, or a `state_key` is
            needed for these observations.
        TypeError: `env` is a vector environment, `estimator` is not a learner, or an option is
            unknown.

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
        learner = estimator if isinstance(estimator, Recorded) else Recorded.of(estimator)
        RecordConstructorArgs.__init__(
            self, task_horizon=task_horizon, value_scale=value_scale, count_scale=count_scale,
            state_key=state_key, show_state=show_state, flatten=flatten, estimator=learner,
            _disable_deepcopy=True,  # functions need not be copied, and some cannot be
            **options,
        )  # fmt: skip
        if isinstance(estimator, Recorded):
            estimator = estimator.copy()
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
        space: Any = env.observation_space
        is_discrete = isinstance(space, spaces.Discrete)
        self._lowest, self._n_observations = (
            (int(space.start), int(space.n)) if is_discrete else (0, 0)
        )
        self._box = space if isinstance(space, spaces.Box) else None
        self._learner: Any = OneTask(
            self._estimator, self._scales, self._own_part, self._source.name
        )
        self._numbers = range(0)  # observations that the learner takes and writes itself
        # Not for a subclass: `fast_step` would bypass the methods that it overrides.
        is_trusted = writes_finite(self._estimator, self._scales)
        if is_trusted and hasattr(self._estimator, "fast_step"):
            numbers = range(self._lowest, self._lowest + self._n_observations)
            if self._source.key is None and max(-numbers.start, numbers.stop) <= LARGEST_INTEGER:
                self._numbers = numbers
            one_hot = range(0) if self._encoder is None else self._numbers
            self._learner = self._estimator.fast_step(
                self._scales, self._own_part.start, one_hot, self._source.name
            )
        self.observation_space = self._parts.space
        self._is_flat = flatten
        self._zeros = np.zeros(self._parts.size, np.float32)
        self._is_running = False
        self._begins_task = False  # a reset failed before the learner was told of the new task
        # Its `task_seed` seeds the learner's random numbers if `reset` is called without a seed.
        self._task_owner = find_owner(env, "task_seed")
        # The grid picture (vamdp.domains.grids.view) asks for estimates of its own environment's
        # observations. If a wrapper has changed these, they cannot be looked up.
        canvas = find_owner(env, "grid_view")
        is_readable = (
            canvas is not None
            and isinstance(canvas.grid_view, GridView)  # and no foreign attribute of that name
            and canvas.observation_space == env.observation_space
        )
        self._view: Any = canvas.grid_view if is_readable else None
        # Render after learning, so that the window shows the estimates of the same step.
        self._follows = self._view is not None and self._view.leave_to_wrapper()

    def forget(self) -> None:
        """Begin a new task: clear everything learned."""
        self._estimator.begin_tasks(np.ones(1, np.bool_), [None])

    def _begin_task(self, seed: int | None) -> None:
        self._begins_task = True  # the next reset tries again if the learner raises below
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
        """Start an episode; forget what was learned if the seed or the options begin a new task.

        If this raises, no episode is running, unless `env` rejected the options before it changed
        anything.
        """
        seed = plain_seed(seed)
        options = self._with_task_set(options)
        begins_task = seed is not None or asks_for_new_task(options)
        before = task_marks(self.env, options)
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except BaseException as error:
            if not is_refusal(error, options, self.env, before, begins_task):
                self._begins_task |= begins_task  # it may be new: the next reset forgets
                self._is_running = False
            raise
        self._is_running = False  # until everything below has succeeded
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
        """Step the environment, learn from the transition, and show the updated estimates.

        Raises:
            ResetNeeded: No episode is running: it was not started, has terminated, or failed.
            ValueError: The action is out of range (the environment is not stepped), or the
                environment returns a reward that is not finite or too large, a `terminated` or
                `truncated` that is not a bool, or an invalid state (nothing is learned, and the
                episode is over).
        """
        if not self._is_running:
            raise ResetNeeded("No episode is running: call reset() before step().")
        try:  # `place_of`, without the call: this is the hot path
            i = index(action) - self._first_action
        except TypeError:
            i = -1
        if not 0 <= i < self._n_actions:
            raise ValueError(f"`action` must be in {self.action_space}, got {action!r}.")
        self._is_running = False  # after an error below, a transition is missing: reset is needed
        observation, reward, terminated, truncated, info = self.env.step(action)
        if type(reward) is not float:
            reward = as_reward(reward)
        if type(terminated) is not bool:
            terminated = as_end("terminated", terminated)
        if type(truncated) is not bool:
            truncated = as_end("truncated", truncated)
        vector = self._zeros.copy()
        mask = info.get("action_mask")
        if mask is None and type(observation) is int and observation in self._numbers:
            self._learner.step_number(i, reward, observation, terminated, vector)
        else:
            key = self._read(observation, vector)
            self._learner.step(i, reward, key, terminated, mask, vector)
        self._is_running = not terminated
        shown = vector if self._is_flat else self._parts.present(vector)
        if self._follows:
            self.render()
        return shown, reward, terminated, truncated, info

    def render(self) -> Any:
        """Render the environment; a picture of a grid also shows the learner's values."""
        if self._view is None:
            return self.env.render()
        with self._view.lent(self._think):
            return self.env.render()

    def _think(self, observation: Any) -> Thought:
        """Return the learner's estimates for the state of an observation."""
        key = index(observation) if self._source.key is None else self._key(observation)
        learner = self.estimator
        if not hasattr(learner, "q_values"):  # optional for an estimator
            return Thought()
        inner: Any = self._estimator
        if isinstance(inner, RunningBins):
            (bins,) = inner.bins_of([key]).tolist()
            key, (inner,) = tuple(bins), inner.learners
        # A learner of a batch, here of one task, takes and returns rows.
        is_batch = learner is inner
        state = [key] if is_batch else key
        Q, n_visits = learner.q_values(state), int(np.sum(learner.counts(state)))
        cluster = learner.abstract_state(state) if hasattr(learner, "abstract_state") else None
        if n_visits == 0 and not np.any(Q):
            return Thought(cluster=-1 if cluster is None else cluster)
        # `value` is optional for a custom learner. The built-in ones leave out masked actions.
        value = learner.value(state) if hasattr(learner, "value") else np.max(Q)
        return Thought(float(np.max(value)), n_visits, -1 if cluster is None else cluster)

    def _read(self, observation: Any, vector: npt.NDArray[np.float32]) -> Any:
        """Write an observation into a vector (size,) of zeros; return the key of its state."""
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
            if self._source.key is None:
                return place + self._lowest
        elif self._encoder is not None:
            self._encoder.write(observation, vector[: self._encoder.size])
        return self._key(observation)

    def _key(self, observation: Any) -> Any:
        assert self._source.key is not None, "the constructor makes sure of it"
        if self._box is not None:  # the space's type, as in a batch: 0.7 is less in 32 bits
            observation = read_numbers(self._box, observation)
        key = self._source.key(observation)
        if type(key) is int or type(key) is tuple:
            return key
        return as_key("state_key(observation)", key)
