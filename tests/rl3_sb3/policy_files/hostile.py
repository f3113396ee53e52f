"""Mutations of the two files of an exported policy, as a stranger or a bad disk makes them."""

import copy
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Mutant(NamedTuple):
    """Which kind of mutation, and both files after it."""

    kind: str
    description: bytes
    weights: bytes


class Raw(NamedTuple):
    """JSON text that json.dumps would not write."""

    text: str


NASTY: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 255, 2**20, 2**20 + 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64,
    -(2**63), 0.0, -0.0, 0.5, 1.5, -1e300, 1e300, 5e-324, "", "inf", "-inf", "nan", "Box", "Dict",
    "Discrete", "MultiBinary", "MarkovPolicy", "TransformerPolicy", "LstmPolicy", "actor",
    "actor and critic", "float16", "float32", "F16", "os.system",
    "builtins.eval",
    "__class__", "../../etc/passwd", "/dev/zero", "object", "float64", "bool", "U8", "a\x00b",
    "\ud800", "\u202e", "x" * 5000, [], [[]], [0], [1.0], [2**40], [1, 2], [4, 4], ["inf"], [None],
    {}, {"type": "Box"}, {"__reduce__": ["os.system", "true"]}, [0] * 5000,
    {"type": "Discrete", "n": 4, "start": 0, "dtype": "int64"},
    {"type": "MultiBinary", "n": 4},
    {"type": "MultiDiscrete", "nvec": [2, 2], "start": [0, 0], "dtype": "int8"},
    {"type": "Dict", "spaces": [["\ud800", {"type": "MultiBinary", "n": 4}]]},
    Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw("1e999"), Raw("9" * 400), Raw("9" * 5000),
    Raw("0." + "1" * 5000), Raw("[" * 300 + "]" * 300), Raw("[" * 60_000 + "]" * 60_000),
    Raw("[" * 60_000), Raw('{"a":' * 20_000 + "1" + "}" * 20_000), Raw('"\\ud800\\u0000"'),
    Raw('{"a": 1, "a": 1}'), Raw("[" + "[]," * 200_000 + "[]]"), Raw("'x'"), Raw("01"), Raw("1,"),
)  # fmt: skip
_PLACE = "@place@"


def fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value inside a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        yield (*path, key)
        yield from fields(part, (*path, key))


def put(document: Any, path: tuple[Any, ...], value: Any) -> bytes:
    """The document as JSON, with another value at a path."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if not isinstance(value, Raw):
        inner[path[-1]] = value
        return json.dumps(changed).encode()
    inner[path[-1]] = _PLACE
    return json.dumps(changed).replace(f'"{_PLACE}"', value.text).encode()


def remove(document: Any, path: tuple[Any, ...]) -> bytes:
    """The document as JSON, without the value at a path."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return json.dumps(changed).encode()


def duplicate(document: Any, path: tuple[Any, ...]) -> bytes:
    """The document as JSON, with a key given twice, or an element."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    value = inner[path[-1]]
    if isinstance(inner, list):
        inner.append(value)
        return json.dumps(changed).encode()
    inner[_PLACE] = value
    return json.dumps(changed).replace(_PLACE, str(path[-1])).encode()


def every_field(document: Any, weights: bytes) -> Iterator[Mutant]:
    """Each field of the description replaced by each nasty value, left out, and doubled."""
    for path in fields(document):
        for value in NASTY:
            yield Mutant("a field", put(document, path, value), weights)
        yield Mutant("a field left out", remove(document, path), weights)
        yield Mutant("a field twice", duplicate(document, path), weights)
        if isinstance(path[-1], str):
            extra = (*path[:-1], path[-1] + "_")
            yield Mutant("a field more", put(document, extra, 0), weights)


class Mutator:
    """Draws random mutations of both files.

    Args:
        description: policy.json
        weights: policy.safetensors
        rng: Decides.
    """

    def __init__(self, description: bytes, weights: bytes, rng: np.random.Generator) -> None:
        self.description, self.weights, self.rng = description, weights, rng
        self.document = json.loads(description)
        (length,) = struct.unpack("<Q", weights[:8])
        self.header = json.loads(weights[8 : 8 + length])
        self.data = weights[8 + length :]
        self.kinds: list[Callable[[], Mutant]] = [
            self.bytes_of_description, self.cut_description, self.piece_of_description,
            self.text_encoding, self.bytes_of_weights, self.cut_weights,
            self.sealed_bytes_of_weights, self.sealed_bytes_of_header, self.sealed_cut,
            self.header_field, self.header_field, self.header_field, self.header_length,
            self.number_in_weights, self.other_format,
        ]  # fmt: skip

    def draw(self) -> Mutant:
        """Return a mutant of a random kind."""
        return self.kinds[self.rng.integers(len(self.kinds))]()

    def sealed(self, kind: str, weights: bytes) -> Mutant:
        """Return other weights with a description that vouches for them."""
        document = copy.deepcopy(self.document)
        checksum = hashlib.sha256(weights).hexdigest()
        document["weights"] |= {"bytes": len(weights), "sha256": checksum}
        return Mutant(kind, json.dumps(document).encode(), weights)

    def flipped(self, content: bytes, first: int, last: int) -> bytes:
        """Return content with some bytes of a range changed."""
        changed = bytearray(content)
        for _ in range(self.rng.integers(1, 9)):
            changed[self.rng.integers(first, last)] = self.rng.integers(256)
        return bytes(changed)

    def nasty(self) -> Any:
        """Return a nasty value."""
        return NASTY[self.rng.integers(len(NASTY))]

    # ---- the description

    def bytes_of_description(self) -> Mutant:
        changed = self.flipped(self.description, 0, len(self.description))
        return Mutant("bytes of the description", changed, self.weights)

    def cut_description(self) -> Mutant:
        kept = self.rng.integers(len(self.description))
        return Mutant("a cut description", self.description[:kept], self.weights)

    def piece_of_description(self) -> Mutant:
        one, two, three = sorted(self.rng.integers(len(self.description), size=3))
        whole = self.description
        changed = [whole[:one] + whole[two:], whole[:two] + whole[one:three] + whole[two:]]
        return Mutant("a piece of the description", changed[self.rng.integers(2)], self.weights)

    def text_encoding(self) -> Mutant:
        text = self.description.decode()
        place = self.rng.integers(len(text))
        changed = [
            b"\xef\xbb\xbf" + text.encode(),
            text.encode("utf-16"),
            text.encode("utf-32"),
            text[:place].encode() + b"\xff\xfe" + text[place:].encode(),
            text[:place].encode() + b"\xed\xa0\x80" + text[place:].encode(),
            text[:place].encode() + b"\x00" + text[place:].encode(),
            text[:place].encode() + b"\xc0\xaf" + text[place:].encode(),
            text.encode() + b"{}",
            b"[" + text.encode() + b"]",
        ]
        return Mutant("an encoding", changed[self.rng.integers(len(changed))], self.weights)

    # ---- the weights

    def bytes_of_weights(self) -> Mutant:
        changed = self.flipped(self.weights, 0, len(self.weights))
        return Mutant("bytes of the weights", self.description, changed)

    def cut_weights(self) -> Mutant:
        kept = self.rng.integers(len(self.weights))
        return Mutant("cut weights", self.description, self.weights[:kept])

    def sealed_bytes_of_weights(self) -> Mutant:
        return self.sealed(
            "sealed bytes of the weights", self.flipped(self.weights, 0, len(self.weights))
        )

    def sealed_bytes_of_header(self) -> Mutant:
        last = len(self.weights) - len(self.data)
        return self.sealed("sealed bytes of the header", self.flipped(self.weights, 0, last))

    def sealed_cut(self) -> Mutant:
        kept = self.rng.integers(len(self.weights))
        changed = [self.weights[:kept], self.weights + bytes(int(self.rng.integers(1, 50)))]
        return self.sealed("sealed cut weights", changed[self.rng.integers(2)])

    def header_field(self) -> Mutant:
        paths = list(fields(self.header))
        path = paths[self.rng.integers(len(paths))]
        changed = [
            lambda: put(self.header, path, self.nasty()),
            lambda: put(self.header, path, self.nasty()),
            lambda: remove(self.header, path),
            lambda: duplicate(self.header, path),
            lambda: put(self.header, (*path[:1], "extra"), self.nasty()),
            lambda: put(self.header, ("__metadata__",), self.nasty()),
        ][self.rng.integers(6)]()
        return self.sealed("a field of the header", self.with_header(changed))

    def header_length(self) -> Mutant:
        (length,) = struct.unpack("<Q", self.weights[:8])
        near = [length + int(self.rng.integers(-300, 300)), int(self.rng.integers(2**62))]
        lies = [0, 1, 2, 2**24, 100_000_000, 2**31, 2**32, 2**63, 2**64 - 1, *near, *near]
        lie = lies[self.rng.integers(len(lies))]
        return self.sealed("the header's length", struct.pack("<Q", lie) + self.weights[8:])

    def with_header(self, header: bytes) -> bytes:
        return struct.pack("<Q", len(header)) + header + self.data

    def number_in_weights(self) -> Mutant:
        is_float16 = self.document["weights"].get("dtype") == "float16"
        dtype = np.dtype("<f2" if is_float16 else "<f4")
        bad = np.array([np.nan, np.inf, -np.inf, -np.nan], dtype)[self.rng.integers(4)].tobytes()
        place = dtype.itemsize * self.rng.integers(len(self.data) // dtype.itemsize)
        data = self.data[:place] + bad + self.data[place + dtype.itemsize :]
        start = self.weights[: len(self.weights) - len(self.data)]
        return self.sealed("a number that is not finite", start + data)

    def other_format(self) -> Mutant:
        others = [
            b"",
            b"\x80\x04.",
            b"PK\x03\x04",
            b"\x93NUMPY",
            bytes(100),
            b"{}",
            self.weights * 2,
        ]
        return self.sealed("another format", others[self.rng.integers(len(others))])
