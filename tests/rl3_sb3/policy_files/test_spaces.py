import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl3_sb3.policy_files.spaces import space_from_json, space_to_json
from rl3_sb3.policy_files.strict_json import Node, PolicyFileError

INFINITE = np.array([[-np.inf, -0.0], [0.0, 0.1]], dtype=np.float32)


def again(space):
    text = json.dumps(space_to_json(space), allow_nan=False)
    return space_from_json(Node(json.loads(text), Path("policy.json"), ""))


def read(values):
    return space_from_json(Node(values, Path("policy.json"), "space"))


def assert_same_box(one, other):
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    for name in ("low", "high", "bounded_below", "bounded_above"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@st.composite
def boxes(draw):
    dtype = np.dtype(draw(st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8"])))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3))
    options = {"allow_nan": False} if dtype.kind == "f" else {}
    bounds = [draw(hnp.arrays(dtype, shape, elements=options)) for _ in range(2)]
    return spaces.Box(np.minimum(*bounds), np.maximum(*bounds), shape, dtype.type)


@given(boxes())
@settings(deadline=None, max_examples=200)
def test_boxes_survive_bit_for_bit(box):
    assert_same_box(again(box), box)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-np.inf, np.inf, (4,), np.int64),
        spaces.Box(np.array([-np.inf, 0.0]), np.array([np.inf, 5.0]), dtype=np.int32),
        spaces.Box(INFINITE, np.full((2, 2), np.inf, np.float32)),
        spaces.Box(np.array([-0.0, 0.0]), 1.0, dtype=np.float64),
        spaces.Box(0, 255, (8, 8, 3), np.uint8),
    ],
)
def test_unbounded_sides_and_signs_of_zero_survive(space):
    assert_same_box(again(space), space)


def test_equal_bounds_are_written_once():
    written = space_to_json(spaces.Box(0, 255, (84, 84), np.uint8))
    assert (written["low"], written["high"]) == (0, 255)
    assert space_to_json(spaces.Box(INFINITE, INFINITE + 1))["low"][:3] == ["-inf", -0.0, 0.0]


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3),
        spaces.Discrete(3, start=-2, dtype=np.int32),
        spaces.MultiDiscrete([3, 1, 2], start=[-1, 0, 5]),
        spaces.MultiDiscrete([3, 1], dtype=np.int16),
        spaces.MultiBinary(4),
        spaces.MultiBinary([2, 3]),
        spaces.Dict({"b": spaces.Discrete(2), "a": spaces.MultiBinary(1)}),
    ],
)
def test_other_spaces_survive(space):
    assert again(space) == space
    assert again(space).dtype == space.dtype


def test_the_order_of_a_dict_survives():
    space = spaces.Dict(OrderedDict([("ä\ud800", spaces.Discrete(2)), ("a", spaces.Discrete(3))]))
    assert list(again(space).spaces) == ["ä\ud800", "a"]


@pytest.mark.parametrize(
    "space",
    [spaces.Text(3), spaces.Tuple([spaces.Discrete(2)]), type("Mine", (spaces.Discrete,), {})(3)],
)
def test_other_kinds_of_spaces_are_not_written(space):
    with pytest.raises(ValueError, match="`space` must be a Box, Discrete"):
        space_to_json(space)


BOX = {"type": "Box", "shape": [2], "dtype": "float32", "low": 0.0, "high": 1.0}
DISCRETE = {"type": "Discrete", "n": 3, "start": 0, "dtype": "int64"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "an object"),
        ({}, "one of Box, Discrete, MultiDiscrete, MultiBinary, Dict"),
        ({"type": "os.system"}, "one of Box"),
        ({"type": ["Box"]}, "one of Box"),
        (BOX | {"shape": [2**40]}, "an integer from 0 to 1048576"),
        (BOX | {"shape": [2**20, 2]}, "a shape of at most 1048576 numbers"),
        (BOX | {"shape": [1] * 33}, "a list of 0 to 32 elements"),
        (BOX | {"shape": [True]}, "an integer from 0"),
        (BOX | {"shape": 2}, "a list"),
        (BOX | {"dtype": "object"}, "one of float16"),
        (BOX | {"low": [0.0]}, "a list of 2 to 2 elements"),
        (BOX | {"low": "nan"}, "one of inf, -inf"),
        (BOX | {"low": 1e300}, "a number that a float32 can hold"),
        (BOX | {"low": 2.0}, "a space that gymnasium accepts"),
        (BOX | {"low": None}, "a number"),
        (BOX | {"extra": 1}, r"\(see \['extra'\]\)"),
        (BOX | {"dtype": "uint8", "low": -1}, "an integer from 0 to 255"),
        (BOX | {"dtype": "uint8", "low": "-inf", "high": 300}, "an integer from 0 to 255"),
        (DISCRETE | {"n": 0}, "an integer from 1"),
        (DISCRETE | {"n": 2**62}, "an integer from 1 to 1048576"),
        (DISCRETE | {"start": 2**63 - 2}, "an integer from"),
        (DISCRETE | {"n": 3.0}, "an integer from 1"),
        ({"type": "MultiBinary", "n": 0}, "an integer from 1 to"),
        ({"type": "MultiBinary", "n": [0]}, "a space that gymnasium accepts"),
        ({"type": "MultiDiscrete", "nvec": [2**20, 1], "start": [0, 0], "dtype": "int64"}, "categ"),
        ({"type": "MultiDiscrete", "nvec": [2], "start": [0, 0], "dtype": "int64"}, "1 to 1 elem"),
        ({"type": "Dict", "spaces": []}, "a list of 1 to 1024"),
        ({"type": "Dict", "spaces": [["a", DISCRETE], ["a", DISCRETE]]}, "each name once"),
        ({"type": "Dict", "spaces": [["a", {"type": "Dict", "spaces": []}]]}, "one of Box, Disc"),
        ({"type": "Dict", "spaces": [[1, DISCRETE]]}, "a text"),
        ({"type": "Dict", "spaces": [["a", BOX | {"shape": [2**20]}]] * 2}, "in all"),
    ],
)
def test_what_describes_no_space_is_refused_and_named(values, message):
    with pytest.raises(PolicyFileError, match=f"`policy.json` must hold .*{message}"):
        read(values)
