"""Make the seed the task, for environments that draw a new layout at every reset.

MiniGrid and other procedurally generated environments draw their layout from the seed, and a new
one at every bare `reset()`. To learn a layout over several episodes, an agent must meet it again:
`HoldSeed` resets every episode of a task with the task's seed. Tasks are therefore integers. They
come from a separate random stream, so that their sequence depends on the seed only and not on what
happened in earlier tasks.
"""

import operator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs, seeding

from vamdp.inner_env import layers
from vamdp.seeds import N_SEEDS, plain_seed


class HoldSeed(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Resets every episode of a task with the task's seed.

    A task is an int in [0, 2**31).

    - `reset()` starts the next episode of the current task; the first call draws a task.
    - `reset(seed=s)` restarts the stream of tasks and draws one.
    - `reset(options={"new_task": True})` draws the next task.
    - `reset(options={"task": 7})` sets the task; it takes precedence over the others.
    - `reset_task` and `set_task` change the task and end the running episode: call `reset` next.

    **Everything that an environment draws from its seed is held, including its dynamics.** This is
    what you want if only the layout is random. If transitions, rewards or start states are random
    too, every episode of a task replays the same noise: the same actions lead to the same states, a
    learner mistakes luck for knowledge, and its plans are optimal for one fixed sequence of random
    numbers only. Use `vamdp.domains.SampledEnv` then, with a function that draws an environment
    whose layout is fixed on construction. Its episodes share the layout, not the noise.

    Args:
        env: An environment whose `reset(seed=...)` determines its layout.

    Raises:
        ValueError: `env` contains a `ValueAugment` or `MetaEpisode`.

    Example:
        >>> env = HoldSeed(gymnasium.make("CartPole-v1"))
        >>> first, again = env.reset(seed=1)[0], env.reset()[0]
        >>> other = env.reset(options={"new_task": True})[0]
        >>> (first == again).all(), (first == other).all()
        (np.True_, np.False_)
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        _refuse_learners(env)
        self._tasks_stream: np.random.Generator | None = None  # created when first needed
        self._tasks_seed: int | None = None  # the seed of that stream
        self._task: int | None = None
        self._running = False

    @property
    def task(self) -> int:
        """The current task.

        Raises:
            ResetNeeded: No task has been drawn or set yet.
        """
        if self._task is None:
            raise ResetNeeded("There is no task yet: call reset() or set_task() first.")
        return self._task

    @property
    def task_seed(self) -> int | None:
        """The current task, as a seed for wrappers that draw random numbers; or None."""
        return self._task

    @property
    def np_random_seed(self) -> int:
        """The seed of the stream of tasks, last given to `reset` or drawn at random.

        The seed of the environment inside is `task`.
        """
        if self._tasks_seed is None:
            self._begin_tasks(None)
        assert self._tasks_seed is not None
        return self._tasks_seed

    def get_task(self) -> int:
        """Return the current task."""
        return self.task

    def sample_tasks(self, n: int) -> list[int]:
        """Draw n tasks from the stream of tasks; the current task stays."""
        return [self._draw() for _ in range(n)]

    def set_task(self, task: int) -> None:
        """Set the task. Call `reset` before the next step.

        Wrappers around this environment are not told: where there is a `ValueAugment` or a
        `MetaEpisode`, call the `set_task` of the outermost one.

        Raises:
            TypeError: `task` is not an integer.
            ValueError: `task` is out of range.
        """
        self._task = _checked(task)
        self._running = False

    def reset_task(self, task: int | None = None) -> None:
        """Set the task, or draw the next one if None. Call `reset` before the next step.

        Raises:
            TypeError: `task` is not an integer.
            ValueError: `task` is out of range.
        """
        self.set_task(self._draw() if task is None else task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, in a new task if the seed or the options ask for one.

        Args:
            seed: Restarts the stream of tasks and draws a task.
            options: "task" sets the task; "new_task": True draws one. Other options are passed to
                the environment.

        Raises:
            TypeError: The task or the seed is not an integer.
            ValueError: The task or the seed is out of range.
        """
        inner_options = dict(options or {})
        task = inner_options.pop("task", None)
        new_task = inner_options.pop("new_task", False)
        seed = plain_seed(seed)
        if task is not None:
            task = _checked(task)  # before anything changes
        if seed is not None:
            self._begin_tasks(seed)
        if task is not None or seed is not None or new_task or self._task is None:
            self.reset_task(task)
        self._running = False  # until the reset below has succeeded
        started = self.env.reset(seed=self.task, options=inner_options or None)
        self._running = True
        return started

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one step in the environment.

        Raises:
            ResetNeeded: No episode is running: `reset` was not called, or not since `set_task`.
        """
        if not self._running:
            raise ResetNeeded("No episode is running: call reset() before step().")
        return self.env.step(action)

    def _draw(self) -> int:
        if self._tasks_stream is None:
            self._begin_tasks(None)
        assert self._tasks_stream is not None
        return int(self._tasks_stream.integers(N_SEEDS))

    def _begin_tasks(self, seed: int | None) -> None:
        self._tasks_stream, self._tasks_seed = seeding.np_random(seed)


def _refuse_learners(env: Any) -> None:
    """Raise ValueError if a learner inside would forget its task at every reset."""
    for layer in layers(env):
        if any(c.__name__ in ("ValueAugment", "MetaEpisode") for c in type(layer).__mro__):
            raise ValueError(
                f"`env` must have no {type(layer).__name__} inside, got {env}: HoldSeed passes a "
                "seed at every reset, which begins a new task there. Put HoldSeed inside it."
            )


def _checked(task: Any) -> int:
    """Return the task as an int; raise if it is not an int in range."""
    try:
        seed = operator.index(task)
    except TypeError:
        seed = None
    if seed is None or isinstance(task, bool):
        raise TypeError(f"`task` must be an int, used as a seed, got {type(task).__name__}.")
    if not 0 <= seed < N_SEEDS:
        raise ValueError(f"`task` must be in [0, 2**31), got {seed}.")
    return seed
