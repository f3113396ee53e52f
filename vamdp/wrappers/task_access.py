"""Pass the task methods (get, set, draw and sample) through every level of wrapping."""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any

from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from vamdp.inner_batch import is_refusal, task_marks
from vamdp.inner_env import layers


class TaskAccess:
    """Passes task methods on to the environment inside, and forgets when the task changes.

    This is mixed into wrappers that keep something learned about the current task. The method names
    are those that meta-RL code bases call.
    """

    env: Any

    def reset_task(self, task: Any = None) -> None:
        """Set the task, or draw the next one if None, and forget the current one.

        Call `reset` before the next step. An environment that has `sample_tasks` and `set_task`,
        but no `reset_task`, is given the next task that it samples. With None, an environment
        without task methods keeps its only task, and the learner starts again.

        Args:
            task: A task as the environment inside expects it; a sequence of them for a batch.

        Raises:
            ValueError: A task is given, but the environment has neither `reset_task` nor
                `set_task`.
        """
        below = self._find("reset_task")
        if below is None:
            task = self._sampled() if task is None else task
            below = None if task is None else self._find("set_task")
        if below is not None:
            self._change(below, task)
        elif task is not None:
            raise ValueError(f"`task` must be None, got {task!r}: {self._fixed()}")
        self._task_changed()

    def _change(self, below: Callable[[Any], None], task: Any) -> None:
        """Change the task; if that fails half-way, as in the second environment, it has changed."""
        asked = {"new_task": True} if task is None else {"task": task}
        before = task_marks(self.env, asked)
        try:
            below(task)
        except BaseException as error:
            if not is_refusal(error, asked, self.env, before, begins_task=False):
                self._task_changed()
            raise

    def set_task(self, task: Any) -> None:
        """Set the task, and forget the current one. Call `reset` before the next step."""
        if task is None:
            raise ValueError("`task` must be a task, got None. reset_task() draws one.")
        self.reset_task(task)

    def get_task(self) -> Any:
        """Return the current task, as the environment inside does."""
        return self._below("get_task")()

    def sample_tasks(self, n: int) -> Any:
        """Draw n tasks; the current task stays."""
        return self._below("sample_tasks")(n)

    def _with_task_set(self, options: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the reset options, after setting their task if `reset` would not do it itself.

        Environments of vamdp read the task from the options. Others ignore it there and are set
        through their methods, and so is each environment of a SyncVectorEnv. For "new_task", the
        methods draw: `reset_task` if it can be called without a task, or `sample_tasks` and
        `set_task` if there is no `reset_task`. The options then lose "new_task", so that a `reset`
        that reads it draws no second task. An environment without these methods, and any in another
        process, draws in its `reset`.

        Raises:
            ValueError: No environment inside accepts a task, or "new_task" comes with a
                `reset_mask` and tasks can only be set in all environments together.
        """
        if options is None:
            return options
        if options.get("task") is None:
            return self._with_task_drawn(options) if options.get("new_task") else options
        owner = self._owner("reset_task", "set_task")
        if owner is None:
            raise ValueError(
                f"`options['task']` must be left out, got {options['task']!r}: {self._fixed()}"
            )
        if isinstance(owner, AsyncVectorEnv):
            return options  # its environments are in other processes; all get the same options
        if isinstance(owner, SyncVectorEnv):
            if _all_read_options(owner):
                if isinstance(options["task"], (list, tuple)):
                    raise ValueError(
                        f"`options['task']` must be one task for all environments of {owner}, "
                        "which get the same options, got a list. Call set_task([...]) and reset(), "
                        "or use a vamdp.TaskVectorEnv or SampledVectorEnv, which takes one each."
                    )
                return options
            self._require_all('"task"', options.get("reset_mask"))
            self.reset_task(options["task"])
            return {name: value for name, value in options.items() if name != "task"}
        if not _is_ours(owner):
            self.reset_task(options["task"])
        return options

    def _with_task_drawn(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the reset options, after drawing the task if `reset` would not do it itself."""
        owner, task = self._owner("reset_task"), None
        if owner is None:
            task = self._sampled()
        if task is None and not _is_drawn_by_method(owner):
            return options
        self._require_all('"new_task"', options.get("reset_mask"))
        self.reset_task(task)
        return {name: value for name, value in options.items() if name != "new_task"}

    def _require_all(self, option: str, reset_mask: Any) -> None:
        if reset_mask is not None and not all(reset_mask):
            raise ValueError(
                f"`options['reset_mask']` must be left out with {option}, got {reset_mask}: the "
                f"tasks of {self.env} are set for all environments together."
            )

    def _sampled(self) -> Any:
        """Return the next task, or one per environment of a batch; None if it cannot sample."""
        sample = self._find("sample_tasks")
        if sample is None or self._find("set_task") is None:
            return None
        return sample(self.env.num_envs) if isinstance(self.env, VectorEnv) else sample(1)[0]

    def _fixed(self) -> str:
        return f"{self.env} has no reset_task or set_task method that could set it."

    def _below(self, name: str) -> Callable[..., Any]:
        method = self._find(name)
        if method is None:
            raise AttributeError(f"{self.env} has no method {name}: its task is fixed.")
        return method

    def _owner(self, *names: str) -> Any:
        """Return the outermost layer, or batch of environments, with one of these methods."""
        for env in layers(self.env):
            if any(hasattr(env, name) for name in names):
                return env
            if isinstance(env, (SyncVectorEnv, AsyncVectorEnv)):
                known = any(all(env.call("has_wrapper_attr", name)) for name in names)
                return env if known else None
        return None

    def _find(self, name: str) -> Callable[..., Any] | None:
        """Return the outermost method of this name inside, or one that serves a whole batch."""
        owner = self._owner(name)
        if owner is None:
            return None
        method: Callable[..., Any] = (
            getattr(owner, name) if hasattr(owner, name) else partial(_IN_EACH[name], owner)
        )
        return method

    def _task_changed(self) -> None:
        raise AssertionError("a wrapper must define what it forgets")


def _is_ours(env: Any) -> bool:
    """Whether `reset` reads options["task"], as in vamdp's classes and their subclasses."""
    return any(c.__module__.partition(".")[0] == "vamdp" for c in type(env).__mro__)


def _is_drawn_by_method(owner: Any) -> bool:
    """Whether a new task is drawn by the owner's `reset_task`, and not by `reset`."""
    if hasattr(owner, "reset_task"):
        return not _is_ours(owner) and _needs_no_task(owner.reset_task)
    if not isinstance(owner, SyncVectorEnv):  # none, or in other processes
        return False
    methods = [one.get_wrapper_attr("reset_task") for one in owner.envs]
    return not _all_read_options(owner) and all(map(_needs_no_task, methods))


def _needs_no_task(reset_task: Callable[..., Any]) -> bool:
    """Whether this method can be called without a task; one that cannot draws none."""
    try:
        signature(reset_task).bind()
    except (TypeError, ValueError):
        return False
    return True


def _all_read_options(env: SyncVectorEnv) -> bool:
    """Whether in every environment some layer of vamdp reads options["task"] in `reset`."""
    return all(any(map(_is_ours, layers(one))) for one in env.envs)


# A SyncVectorEnv or AsyncVectorEnv has no task methods. These match those of `TaskVectorEnv`.


def _reset_each(env: SyncVectorEnv | AsyncVectorEnv, tasks: Sequence[Any] | None) -> None:
    if tasks is None:
        env.call("reset_task")
    else:
        _give_each(env, "reset_task", tasks)


def _set_each(env: SyncVectorEnv | AsyncVectorEnv, tasks: Sequence[Any]) -> None:
    _give_each(env, "set_task", tasks)


def _give_each(env: SyncVectorEnv | AsyncVectorEnv, name: str, tasks: Sequence[Any]) -> None:
    n_given = len(tasks) if hasattr(tasks, "__len__") else f"{tasks!r}, which is no list"
    if n_given != env.num_envs:
        raise ValueError(f"`task` must hold {env.num_envs} tasks, got {n_given}.")
    for one, task in zip(_envs(env), tasks, strict=True):
        one.get_wrapper_attr(name)(task)


def _get_each(env: SyncVectorEnv | AsyncVectorEnv) -> list[Any]:
    return list(env.call("get_task"))


def _sample_each(env: SyncVectorEnv | AsyncVectorEnv, n: int) -> list[Any]:
    envs = _envs(env)
    return [envs[j % len(envs)].get_wrapper_attr("sample_tasks")(1)[0] for j in range(n)]


def _envs(env: SyncVectorEnv | AsyncVectorEnv) -> list[Any]:
    if isinstance(env, AsyncVectorEnv):
        raise ValueError(
            "`env` must not be an AsyncVectorEnv, because a method call there passes the same "
            "arguments to all its processes: use SyncVectorEnv."
        )
    return env.envs


_IN_EACH: dict[str, Callable[..., Any]] = {
    "reset_task": _reset_each,
    "set_task": _set_each,
    "get_task": _get_each,
    "sample_tasks": _sample_each,
}
