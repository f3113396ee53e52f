"""Convert Gymnasium spaces to plain JSON and back, bit for bit.

    {"type": "Box", "shape": [2], "dtype": "float32", "low": [-1.0, "-inf"], "high": 1.0}
    {"type": "Discrete", "n": 3, "start": 0, "dtype": "int64"}
    {"type": "MultiDiscrete", "nvec": [3, 2], "start": [0, 0], "dtype": "int64"}
    {"type": "MultiBinary", "n": 4}          n may be a shape: [2, 3]
    {"type": "Dict", "spaces": [["a", {...}], ["b", {...}]]}

These are the spaces that Stable-Baselines3 can preprocess. A Dict contains no other Dict, and its
entries keep their order. Bounds are a single value if all are equal, otherwise a list in C order. A
JSON number is a double, which represents every float16 and float32 exactly. Infinity, which JSON
lacks, is the text "inf" or "-inf". In a Box of integers it marks an unbounded side, for which
gymnasium stores the smallest or largest integer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rl3_sb3.policy_files.strict_json import Node, PolicyFileError

# Limit of the numbers in one observation or action; a space holds several arrays of this size.
MOST_NUMBERS = 2**20
_MOST_AXES = 32
_MOST_PARTS = 1024  # entries of a Dict
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "float32", "float64")
_INFINITY = {"inf": math.inf, "-inf": -math.inf}

Array = npt.NDArray[Any]


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Return a space as plain JSON.

    Raises:
        ValueError: The space is of none of the kinds in the module docstring.
    """
    if type(space) is spaces.Dict:
        parts = [[key, space_to_json(part)] for key, part in space.spaces.items()]
        return {"type": "Dict", "spaces": parts}
    if type(space) is spaces.Box:
        return {
            "type": "Box",
            "shape": list(map(int, space.shape)),
            "dtype": str(space.dtype),
            "low": _bound_to_json(space.low, space.bounded_below, "-inf"),
            "high": _bound_to_json(space.high, space.bounded_above, "inf"),
        }
    if type(space) is spaces.Discrete:
        return {
            "type": "Discrete",
            "n": int(space.n),
            "start": int(space.start),
            "dtype": str(space.dtype),
        }
    if type(space) is spaces.MultiDiscrete:
        return {
            "type": "MultiDiscrete",
            "nvec": space.nvec.tolist(),
            "start": space.start.tolist(),
            "dtype": str(space.dtype),
        }
    if type(space) is spaces.MultiBinary:
        n: Any = space.n
        return {"type": "MultiBinary", "n": int(n) if np.ndim(n) == 0 else list(map(int, n))}
    raise ValueError(
        f"`space` must be a Box, Discrete, MultiDiscrete, MultiBinary or a Dict of these to be "
        f"written as JSON, got {space}. Wrap the environment so that it has one of them."
    )


def space_from_json(node: Node, *, inside_dict: bool = False) -> spaces.Space[Any]:
    """Return the space that JSON describes.

    Args:
        node: The untrusted JSON value.
        inside_dict: Whether the space is an entry of a Dict and must not be a Dict itself.

    Raises:
        PolicyFileError: The value describes no space, or one with more than `MOST_NUMBERS` numbers.
    """
    kinds: dict[str, Callable[[Node], spaces.Space[Any]]] = dict(_READERS)
    if not inside_dict:
        kinds["Dict"] = _read_dict
    kind = node.items().get("type", Node(None, node.file, f"{node.where}.type")).choice([*kinds])
    try:
        return kinds[kind](node)
    except PolicyFileError:
        raise
    except (ValueError, TypeError, OverflowError, AssertionError) as error:
        raise node.error(f"a space that gymnasium accepts ({error})") from error


def n_numbers(space: spaces.Space[Any]) -> int:
    """Return the number of numbers in an element; for discrete spaces, of categories."""
    if isinstance(space, spaces.Dict):
        return sum(map(n_numbers, space.spaces.values()))
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(space.nvec.sum())
    return math.prod(space.shape or ())


# ---------------------------------------------------------------- Box


def _bound_to_json(bound: Array, bounded: Array, infinity: str) -> Any:
    is_integer = bound.dtype.kind in "iu"
    values = [
        infinity if is_integer and not finite else _number_to_json(value)
        for value, finite in zip(bound.ravel().tolist(), bounded.ravel().tolist(), strict=True)
    ]
    # Compare as texts: 0.0 == -0.0, but their bits differ.
    all_equal = len(set(map(json.dumps, values))) == 1
    return values[0] if all_equal else values


def _number_to_json(value: float) -> Any:
    return str(value) if math.isinf(value) else value


def _read_box(node: Node) -> spaces.Box:
    fields = node.fields(("type", "shape", "dtype", "low", "high"))
    shape = _read_shape(fields["shape"])
    dtype = fields["dtype"].choice((*_FLOATS, *_INTEGERS))
    low, bounded_below = _read_bound(fields["low"], shape, dtype, "-inf")
    high, bounded_above = _read_bound(fields["high"], shape, dtype, "inf")
    space = spaces.Box(low, high, shape, np.dtype(dtype).type)
    if dtype in _INTEGERS:
        space.bounded_below, space.bounded_above = bounded_below, bounded_above
    return space


def _read_bound(
    node: Node, shape: tuple[int, ...], dtype: str, infinity: str
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the bound, and a mask that is False where the side is unbounded."""
    n = math.prod(shape)
    is_list = isinstance(node.value, list)
    read = _read_float if dtype in _FLOATS else _read_integer
    texts = node.value if is_list else [node.value]
    values = [
        read(element, np.dtype(dtype), infinity)
        for element in (node.elements(n, n) if is_list else [node])
    ]
    bounded = np.array([text != infinity for text in texts], dtype=bool)
    if is_list:
        return np.array(values, dtype=dtype).reshape(shape), bounded.reshape(shape)
    return np.full(shape, values[0], dtype), np.full(shape, bounded[0])


def _read_float(node: Node, dtype: np.dtype[Any], _: str) -> float:
    if isinstance(node.value, str):
        return _INFINITY[node.choice([*_INFINITY])]
    value = node.number()
    if abs(value) > float(np.finfo(dtype).max):
        raise node.error(f"a number that a {dtype} can hold")
    return value


def _read_integer(node: Node, dtype: np.dtype[Any], infinity: str) -> int:
    limits = np.iinfo(dtype)
    least, most = int(limits.min), int(limits.max)
    if isinstance(node.value, str):
        node.choice([infinity])
        return least if infinity == "-inf" else most
    return node.integer(least, most)


def _read_shape(node: Node) -> tuple[int, ...]:
    shape = tuple(axis.integer(0, MOST_NUMBERS) for axis in node.elements(0, _MOST_AXES))
    if math.prod(shape) > MOST_NUMBERS:
        raise node.error(f"a shape of at most {MOST_NUMBERS} numbers")
    return shape


# ---------------------------------------------------------------- the others


def _read_discrete(node: Node) -> spaces.Discrete:
    fields = node.fields(("type", "n", "start", "dtype"))
    dtype = np.dtype(fields["dtype"].choice(_INTEGERS))
    limits = np.iinfo(dtype)
    n = fields["n"].integer(1, min(MOST_NUMBERS, int(limits.max)))
    start = fields["start"].integer(int(limits.min), int(limits.max) - n)
    return spaces.Discrete(n, start=start, dtype=dtype.type)


def _read_multi_discrete(node: Node) -> spaces.MultiDiscrete:
    fields = node.fields(("type", "nvec", "start", "dtype"))
    dtype = np.dtype(fields["dtype"].choice(_INTEGERS))
    limits = np.iinfo(dtype)
    most = min(MOST_NUMBERS, int(limits.max))
    nvec = [element.integer(1, most) for element in fields["nvec"].elements(1, MOST_NUMBERS)]
    if sum(nvec) > MOST_NUMBERS:
        raise fields["nvec"].error(f"at most {MOST_NUMBERS} categories in all")
    starts = fields["start"].elements(len(nvec), len(nvec))
    start = [
        element.integer(int(limits.min), int(limits.max) - n)
        for element, n in zip(starts, nvec, strict=True)
    ]
    return spaces.MultiDiscrete(nvec, dtype=dtype.type, start=start)


def _read_multi_binary(node: Node) -> spaces.MultiBinary:
    n = node.fields(("type", "n"))["n"]
    if isinstance(n.value, list):
        return spaces.MultiBinary(_read_shape(n))
    return spaces.MultiBinary(n.integer(1, MOST_NUMBERS))


def _read_dict(node: Node) -> spaces.Dict:
    parts: list[tuple[str, spaces.Space[Any]]] = []
    total = 0
    for element in node.fields(("type", "spaces"))["spaces"].elements(1, _MOST_PARTS):
        name, space = element.elements(2, 2)
        parts.append((name.text(), space_from_json(space, inside_dict=True)))
        total += n_numbers(parts[-1][1])
        if total > MOST_NUMBERS:
            raise node.error(f"spaces of at most {MOST_NUMBERS} numbers in all")
    if len(dict(parts)) < len(parts):
        raise node.error("each name once")
    return spaces.Dict(parts)


_READERS = {
    "Box": _read_box,
    "Discrete": _read_discrete,
    "MultiDiscrete": _read_multi_discrete,
    "MultiBinary": _read_multi_binary,
}
