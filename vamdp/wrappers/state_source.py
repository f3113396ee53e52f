"""Find the function that maps observations to the learner's states.

The first of these that applies: the user's `state_key`; a Discrete observation itself; the numbers
of the observation, if the learner takes real-valued states; the environment's own `state_key`; the
tuple of its integers, if it holds nothing else; bins, if it is a few real numbers.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from vamdp.estimators.state_bins import StateBins
from vamdp.inner_batch import class_names, has_in_processes, owners
from vamdp.inner_env import StateKey, single_space
from vamdp.space_trees import rows_of
from vamdp.wrappers.whole_numbers import (
    batched_whole_numbers,
    holds_whole_numbers,
    whole_numbers,
)

#: Above this many real numbers, bins are no default: hardly any two states would share one.
MOST_BINNED_NUMBERS = 8

#: The name of a state that is made of the observation's own numbers.
OBSERVATION = "observation"


class StateSource(NamedTuple):
    """Functions that map observations to states. A Discrete observation needs none.

    Attributes:
        key: One observation -> its state, or None.
        keys: A batch of observations -> states (n,) or (n, d), or None.
        each: One `key` per environment, if the environments of a batch have their own; else None.
        bins: Bins that adapt to the data, to be put around the learner, or None.
        name: What a state is called in errors.
    """

    key: StateKey | None = None
    keys: Callable[[Any], npt.ArrayLike] | None = None
    each: list[StateKey] | None = None
    bins: StateBins | None = None
    name: str = "state_key(observation)"


def find_state_source(
    env: Any,
    space: gymnasium.Space[Any],
    state_key: StateKey | None,
    state_keys: Callable[[Any], Any] | None = None,
    *,
    takes_reals: bool,
) -> StateSource:
    """Find out where the states come from.

    Args:
        env: The environment, single or vectorised.
        space: The space of a single observation.
        state_key: The user's function, or None.
        state_keys: The user's function for batches, or None.
        takes_reals: Whether the learner takes real-valued states.

    Raises:
        ValueError: A `state_key` is needed for this space or around another ValueAugment, or an
            argument is not a function.

    Warns:
        UserWarning: The learner takes real-valued states, and these are numbers of a `Discrete`.
    """
    for name, function in (("state_key", state_key), ("state_keys", state_keys)):
        if function is not None and not callable(function):
            raise ValueError(f"`{name}` must be callable, got {function!r}.")
    if isinstance(state_keys, StateBins):
        raise ValueError(f"`state_keys` must be left out for bins: pass state_key={state_keys}.")
    if state_keys is not None:
        if state_key is not None:
            raise ValueError(
                f"`state_keys` must be left out with a `state_key`, got {state_keys!r} beside "
                f"{state_key!r}: pass one of them."
            )
        return StateSource(state_key, state_keys)
    if isinstance(state_key, StateBins):
        return _binned(space, state_key)
    if state_key is not None:
        return StateSource(state_key)
    if "ValueAugment" in class_names(env):
        raise ValueError(
            f"`env` must have no ValueAugment inside, got {env}: values are no states. Leave one "
            "out, or pass a `state_key` that picks the state out of the observation."
        )
    if isinstance(space, spaces.Discrete):
        if takes_reals:
            warnings.warn(
                f"`estimator` measures distances between states, but the observations of `env`, "
                f"{space}, are numbers that may have none. Pass a function that returns "
                "coordinates, such as state_key=lambda s: divmod(s, 4), or another `estimator`.",
                stacklevel=4,  # the caller of the wrapper
            )
        return StateSource()
    if takes_reals:
        return StateSource(*_numbers_of(space), name=OBSERVATION)
    return _of_environment(env, space) or _of_space(space)


def _of_space(space: gymnasium.Space[Any]) -> StateSource:
    """Return the source for integers, or for a few real numbers."""
    if holds_whole_numbers(space):
        keys = partial(batched_whole_numbers, space)
        return StateSource(partial(whole_numbers, space), keys, name=OBSERVATION)
    if isinstance(space, spaces.Box) and _is_few_reals(space):
        return _binned(space, StateBins.of_space(space))
    raise ValueError(
        f"`state_key` must map observations to states, got None, but the observation space is "
        f"{space}. {_key_hint(space)}"
    )


def _of_environment(env: Any, space: gymnasium.Space[Any]) -> StateSource | None:
    """Return the source with the environments' own `state_key`; None if they have none."""
    found = owners(env, "state_key")
    if not all(callable(owner.state_key) for owner in found):
        return None  # an attribute of that name with another meaning
    for owner in found:
        if single_space(owner) != space:
            # Its function would misread the numbers of another observation.
            raise ValueError(
                f"`state_key` must be given, since the one of {owner} is for observations in "
                f"{single_space(owner)}, got None with {space} from the wrappers around it."
            )
    if found:
        first = found[0]
        if isinstance(env, VectorEnv) and not isinstance(first, VectorEnv):
            return StateSource(first.state_key, each=[one.state_key for one in found])
        return StateSource(first.state_key, getattr(first, "state_keys", None))
    if has_in_processes(env, "state_key"):
        raise ValueError(
            "`state_key` must be given, since those of the environments are in other processes, "
            f"got None with {env}. Pass a function, or use SyncVectorEnv."
        )
    return None


def _is_few_reals(space: spaces.Box) -> bool:
    n = int(np.prod(space.shape))
    return np.issubdtype(space.dtype, np.floating) and 1 <= n <= MOST_BINNED_NUMBERS


def _binned(space: gymnasium.Space[Any], bins: StateBins) -> StateSource:
    """Return bins as functions if all bounds are known, else as bins around the learner."""
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        raise ValueError(
            f"`state_key` must be left out or be a function, got {bins}: bins are for real "
            f"numbers, and observations are in {space}."
        )
    d = spaces.flatdim(space)
    bins.counts(d), bins.bounds(d)  # both raise if the bins are for another number of dimensions
    if bins.has_bounds:
        if isinstance(space, spaces.Box):
            return StateSource(bins, bins.keys)
        return StateSource(partial(_bins_of, space, bins))
    return StateSource(*_numbers_of(space), bins=bins, name=OBSERVATION)


def _bins_of(space: gymnasium.Space[Any], bins: StateBins, observation: Any) -> tuple[int, ...]:
    return bins(spaces.flatten(space, observation))


def _numbers_of(
    space: gymnasium.Space[Any],
) -> tuple[StateKey, Callable[[Any], npt.ArrayLike]]:
    """Return the functions that take all numbers of one observation, and of a batch."""
    return partial(_numbers, space), partial(_batched_numbers, space)


def _numbers(space: gymnasium.Space[Any], observation: Any) -> tuple[float, ...]:
    flat: Any = spaces.flatten(space, observation)
    return tuple(np.asarray(flat, np.float64).tolist())


def _batched_numbers(space: gymnasium.Space[Any], observations: Any) -> npt.NDArray[np.float64]:
    if isinstance(space, spaces.Box):
        return np.array(observations, np.float64).reshape(len(observations), -1)
    return np.array([_numbers(space, one) for one in rows_of(space, observations)])


def _key_hint(space: gymnasium.Space[Any]) -> str:
    """Return what to do if observations in this space have no key."""
    hidden = "" if space.is_np_flattenable else " and show_state=False"
    if is_empty(space):
        return "It holds nothing: pass state_key=lambda observation: 0 and show_state=False."
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return (
            "Real numbers hardly ever recur. Pass a function that cuts a few of them into bins, "
            "such as state_key=lambda o: tuple(np.floor(o[:2] * 5).astype(int)), or "
            'estimator="kernel"; the agent still sees the whole observation. If these numbers do '
            "recur, pass state_key=tuple."
        )
    part, name = space, "observation"
    while isinstance(part, (spaces.Dict, spaces.Tuple)) and len(part.spaces) > 0:
        place: Any = next(iter(part)) if isinstance(part, spaces.Dict) else 0
        part, name = part[place], f"{name}[{place!r}]"
    if not isinstance(
        part, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
    ):
        return (
            "Pass a function that numbers the observations, such as state_key=lambda observation, "
            "numbers={}: numbers.setdefault(repr(observation), len(numbers))"
            f"{hidden}. (repr shortens arrays of more than 1000 numbers.)"
        )
    if part is not space:
        return (
            "Pass a function of the parts that make up the state, such as state_key=lambda "
            f"observation: tuple(np.ravel({name})){hidden}."
        )
    return f"Pass state_key=lambda observation: tuple(np.ravel({name})), for example."


def is_empty(space: gymnasium.Space[Any]) -> bool:
    """Whether observations in this space hold no numbers at all."""
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return all(map(is_empty, parts))
    return isinstance(space, spaces.Box) and 0 in space.shape
