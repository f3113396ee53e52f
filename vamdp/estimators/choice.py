"""Turn the wrappers' argument `estimator` into a learner."""

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from vamdp.estimators.estimator import Estimator, Scales
from vamdp.estimators.row_by_row import METHODS, RowByRow
from vamdp.estimators.table import BUILT_INS, DEFAULT, Learner, made_by

#: With smaller divisors, the values and counts of a built-in learner may not fit into float32. With
#: larger ones they do for 1e5 steps of LARGEST_REWARD = 1e30, since float32 goes to 3e38.
SMALLEST_TRUSTED_SCALE = 1e-3

_DOOR = ("n_tasks", "n_actions", "parts", "begin_tasks", "begin_episodes", "update", "write")


def as_estimator(
    estimator: Any, n_tasks: int, n_actions: int, task_horizon: int, options: Mapping[str, Any]
) -> Estimator:
    """Return the learner for the argument `estimator`.

    Args:
        estimator: None or the name of a built-in learner; a `Learner`; an `Estimator`; a learner of
            one task with the methods update, q_values, counts and forget, or a list of n_tasks of
            them; or a function (n_tasks, n_actions) that returns one of the last three.
        n_tasks: Number of environments.
        n_actions: Number of actions of each environment.
        task_horizon: Largest number of steps of an episode.
        options: Options of a built-in learner or a `Learner`.

    Raises:
        ValueError: The name is unknown, an option is out of range or given with a custom learner,
            or the learner has another number of tasks or actions.
        TypeError: An option is unknown, or `estimator` is none of the above.
    """
    if estimator is None or isinstance(estimator, str):
        estimator = _built_in(DEFAULT if estimator is None else estimator)
    maker = estimator
    if isinstance(estimator, Learner):
        maker = estimator.factory
        estimator = estimator.make(n_tasks, n_actions, task_horizon, options)
    elif options:
        raise ValueError(
            f"`{next(iter(options))}` must be left out with a custom `estimator`, got "
            f"{next(iter(options.values()))!r}. Set it in that learner, or pass a "
            "vamdp.estimators.Learner with options."
        )
    elif isinstance(estimator, type) or (callable(estimator) and not hasattr(estimator, "update")):
        estimator = made_by(estimator, n_tasks, n_actions, {})
    missing = _missing(estimator, _DOOR)
    # Learners of one task have neither method, so this one was meant to be an Estimator.
    if missing and (hasattr(estimator, "write") or hasattr(estimator, "begin_tasks")):
        raise TypeError(
            f"`estimator` must be a vamdp.estimators.Estimator, got {type(estimator).__name__} "
            f"without {', '.join(missing)}."
        )
    if missing:
        if isinstance(maker, type):
            _refuse_class_of_one(maker, estimator, n_tasks, n_actions)
        estimator = _by_rows(estimator, n_tasks, n_actions)
    _check_sizes(estimator, n_tasks, n_actions)
    return estimator  # type: ignore[no-any-return] # it has the methods of the protocol


def _built_in(name: str) -> Learner:
    if name not in BUILT_INS:
        close = difflib.get_close_matches(name, BUILT_INS, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"`estimator` must be one of {', '.join(map(repr, BUILT_INS))}, got {name!r}.{hint}"
        )
    return BUILT_INS[name]


def is_built_in(estimator: Estimator) -> bool:
    """Whether this is a built-in learner, whose output needs no check."""
    return any(type(estimator) is row.factory for row in BUILT_INS.values())


def _refuse_class_of_one(made_by_class: type, one: Any, n_tasks: int, n_actions: int) -> None:
    """Raise ValueError if a class took the number of tasks for something else."""
    if n_tasks > 1 or getattr(one, "n_actions", n_actions) != n_actions:
        name = made_by_class.__name__
        raise ValueError(
            f"`estimator` must make learners of {n_tasks} tasks when it is called as (n_tasks, "
            f"n_actions), got {name}, the class of one learner. Pass lambda n_tasks, n_actions: "
            f"[{name}(...) for _ in range(n_tasks)]."
        )


def _by_rows(learners: Any, n_tasks: int, n_actions: int) -> RowByRow:
    """Wrap learners of one task each as an `Estimator`."""
    is_one = not isinstance(learners, (list, tuple))
    if not is_one and len({id(one) for one in learners}) < len(learners):
        raise ValueError(
            f"`estimator` must have a separate learner for each environment, got one "
            f"{type(learners[0]).__name__} several times. Pass [make() for _ in range({n_tasks})]."
        )
    for one in [learners] if is_one else learners:
        if isinstance(one, type):
            raise TypeError(
                f"`estimator` must hold learners, got the class {one.__name__}. Pass "
                f"[{one.__name__}(...) for _ in range({n_tasks})]."
            )
        if not is_one and not _missing(one, _DOOR):
            raise TypeError(
                f"`estimator` must be one {type(one).__name__} with n_tasks = {n_tasks}, got a "
                "list: one such learner serves all tasks of a batch."
            )
        missing = _missing(one, METHODS)
        if missing:
            raise TypeError(
                f"`estimator` must have the methods {', '.join(METHODS[:-1])} and {METHODS[-1]}, "
                f"or those of vamdp.estimators.Estimator, got {type(one).__name__} without "
                f"{', '.join(missing)}."
            )
    if is_one and n_tasks > 1:
        raise ValueError(
            f"`estimator` must have a learner for each of the {n_tasks} environments, got one "
            f"{type(learners).__name__}. Pass a list of {n_tasks}, or lambda n_tasks, n_actions: "
            "[...]."
        )
    return RowByRow([learners] if is_one else learners, n_actions)


def _missing(learner: Any, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not hasattr(learner, name)]


def _check_sizes(estimator: Any, n_tasks: int, n_actions: int) -> None:
    if estimator.n_tasks != n_tasks:
        raise ValueError(
            f"`estimator` must have n_tasks = {n_tasks}, one row per environment, got "
            f"{estimator.n_tasks}."
        )
    rows = estimator.estimators if isinstance(estimator, RowByRow) else [estimator]
    for one in rows:
        if getattr(one, "n_actions", n_actions) != n_actions:
            raise ValueError(
                f"`estimator` must have the {n_actions} actions of `env`, got {one.n_actions}."
            )
    parts = estimator.parts()
    for name, box in parts.items() if isinstance(parts, Mapping) else [("parts", parts)]:
        if not isinstance(box, Box) or len(box.shape) != 1 or box.dtype != np.float32:
            raise TypeError(
                "`estimator.parts()` must map names to one-dimensional float32 Boxes, got "
                f"{box!r} for {name!r}."
            )
    for name in getattr(estimator, "action_parts", None) or ():
        if name not in parts or parts[name].shape != (n_actions,):
            raise ValueError(
                f"`estimator.action_parts` must name parts of {n_actions} entries, one for each "
                f"action, got {name!r} with `parts()` {dict(parts)!r}."
            )


def writes_finite(estimator: Estimator, scales: Scales) -> bool:
    """Whether what the learner writes must be finite, so that `check_written` is not needed."""
    return is_built_in(estimator) and min(scales) >= SMALLEST_TRUSTED_SCALE


def check_written(estimator: Estimator, out: npt.NDArray[np.float32]) -> None:
    """Raise ValueError unless every number the learner wrote into `out` is finite."""
    if np.isfinite(out).all():
        return
    row, place = np.argwhere(~np.isfinite(out))[0]
    names = [(name, i) for name, box in estimator.parts().items() for i in range(box.shape[0])]
    name, i = names[place]
    raise ValueError(
        f"`{type(estimator).__name__}.write` must write finite numbers, got {out[row, place]} in "
        f"entry {i} of the part {name!r} of task {row}."
        + (" Pass a larger `value_scale` or `count_scale`." if is_built_in(estimator) else "")
    )
