"""Reaching the task from every level of wrapping: get, set, draw and sample it."""

from typing import Any

from vamdp.inner_env import find_attribute


class TaskAccess:
    """Passes the task methods on to the environment below, and forgets where the task changes.

    Mixed into wrappers that keep something learned in the present task. The names are those that
    meta-RL code bases call.
    """

    env: Any

    def reset_task(self, task: Any = None) -> None:
        """Draw the next task (None) or set one, and forget the present one.

        Call `reset` before the next step. An environment that has no tasks to choose from keeps its
        only one: the learner begins anew all the same.

        Args:
            task: what the environment below takes; a sequence of them for a batch.

        Raises:
            ValueError: a task is given to an environment without a `reset_task` of its own.
        """
        below = find_attribute(self.env, "reset_task")
        if below is not None:
            below(task)
        elif task is not None:
            raise ValueError(
                f"`task` must be None, got {task!r}: {self.env} has no reset_task method that "
                "could set it."
            )
        self._task_changed()

    def set_task(self, task: Any) -> None:
        """Set the task, and forget the present one; call `reset` before the next step."""
        if task is None:
            raise ValueError("`task` must be a task, got None. reset_task() draws one.")
        self.reset_task(task)

    def get_task(self) -> Any:
        """The present task, as the environment below gives it."""
        return self._below("get_task")()

    def sample_tasks(self, n: int) -> Any:
        """Draw n tasks; the present one stays."""
        return self._below("sample_tasks")(n)

    def _below(self, name: str) -> Any:
        method = find_attribute(self.env, name)
        if method is None:
            raise AttributeError(f"{self.env} has no method {name}: its task is fixed.")
        return method

    def _task_changed(self) -> None:
        raise AssertionError("the wrapper says what it forgets")
