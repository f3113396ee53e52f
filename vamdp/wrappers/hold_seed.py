"""A seed as the task: for environments that draw a new layout at every reset.

MiniGrid and other procedurally generated environments draw their layout from their seed, and the
next one at every bare `reset()`. An agent that is to learn a layout over several episodes must meet
it again: `HoldSeed` resets every episode of a task with the task's seed. Tasks are then integers,
drawn from a stream of their own, so that their sequence depends on the seed alone and never on what
was done in the tasks before.
"""

import operator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs, seeding

from vamdp.inner_env import N_SEEDS, layers, plain_seed


class HoldSeed(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Resets every episode of a task with the task's seed, until told to begin another task.

    The task is an int in [0, 2**31). `reset(seed=s)` begins the stream of tasks anew and draws one;
    `reset()` starts the next episode of the present task, or of the first one drawn;
    `reset(options={"new_task": True})` draws the next task and `reset(options={"task": 7})` sets
    one, which wins over everything else. `reset_task` and `set_task` do the same between episodes:
    they end the running one, so that a `reset()` must follow.

    **All that an environment draws from its seed is held, its dynamics too.** Where only the layout
    is random that is what one wants. Where transitions, rewards or start states are random as well,
    each episode of a task replays the same noise: the same actions lead to the same states, a
    learner takes luck for knowledge, and what it plans is the optimum of one fixed sequence of
    draws. Take `vamdp.domains.SampledEnv` then, with a function that draws an environment whose
    layout is fixed on construction; its episodes share the layout and go on with the randomness.

    Args:
        env: An environment whose `reset(seed=...)` determines its layout.

    Raises:
        ValueError: There is a `ValueAugment` or `MetaEpisode` inside.

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
        self._tasks_stream: np.random.Generator | None = None  # until first needed
        self._tasks_seed: int | None = None  # where it began
        self._task: int | None = None
        self._running = False

    @property
    def task(self) -> int:
        """The present task.

        Raises:
            ResetNeeded: None was drawn or set yet.
        """
        if self._task is None:
            raise ResetNeeded("There is no task yet: call reset() or set_task() first.")
        return self._task

    @property
    def task_seed(self) -> int | None:
        """The task, for whoever draws random numbers of its own in it; None: there is none yet."""
        return self._task

    @property
    def np_random_seed(self) -> int:
        """The seed that the stream of tasks began with, as the last seeded `reset` was given it.

        The one of the environment inside is the task: `task`.
        """
        if self._tasks_seed is None:
            self._begin_tasks(None)
        assert self._tasks_seed is not None
        return self._tasks_seed

    def get_task(self) -> int:
        """Return the present task."""
        return self.task

    def sample_tasks(self, n: int) -> list[int]:
        """Draw n tasks from the tasks stream; the present task stays."""
        return [self._draw() for _ in range(n)]

    def set_task(self, task: int) -> None:
        """Set the task; call `reset` before the next step.

        Raises:
            TypeError: `task` is not an integer.
            ValueError: It is out of range.
        """
        self._task = _checked(task)
        self._running = False

    def reset_task(self, task: int | None = None) -> None:
        """Set the task, or draw the next one if None; call `reset` before the next step.

        Raises:
            TypeError: `task` is not an integer.
            ValueError: It is out of range.
        """
        self.set_task(self._draw() if task is None else task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, in a new task if the seed or the options ask for one.

        Args:
            seed: Begins the stream of tasks anew and draws one.
            options: "task": the task to set; "new_task": True draws one. The rest goes to the
                environment.

        Raises:
            TypeError: The given task or seed is not an integer.
            ValueError: It is out of range.
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
        self._running = False  # until it succeeded
        started = self.env.reset(seed=self.task, options=inner_options or None)
        self._running = True
        return started

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one step in the environment.

        Raises:
            ResetNeeded: The task was changed, or none was drawn yet.
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
    """Raise ValueError where what is learned of a task would be forgotten at every reset."""
    for layer in layers(env):
        if any(c.__name__ in ("ValueAugment", "MetaEpisode") for c in type(layer).__mro__):
            raise ValueError(
                f"`env` must have no {type(layer).__name__} inside, got {env}: to that, the seed "
                "of every reset is a new task. Put HoldSeed inside it, around the environment."
            )


def _checked(task: Any) -> int:
    """The task as an int; raise unless it is one in range."""
    try:
        seed = operator.index(task)
    except TypeError:
        seed = None
    if seed is None or isinstance(task, bool):
        raise TypeError(f"`task` must be an int, the seed that is held, got {type(task).__name__}.")
    if not 0 <= seed < N_SEEDS:
        raise ValueError(f"`task` must be in [0, 2**31), got {seed}.")
    return seed
