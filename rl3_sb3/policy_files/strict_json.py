"""Reading files from strangers: bounded, strict, and with one class of errors.

What is read here may be damaged or hostile, so nothing is believed. A file is opened only if it is
a regular one (no link, no pipe that never ends) and its size is checked before it is read. JSON is
parsed with every liberty refused that Python's parser takes: duplicate keys, NaN, numbers without
limit. `Node` then hands out values of the expected types and says where one is not.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# 64-bit integers have at most 19 digits and a sign, unsigned ones 20.
_MOST_DIGITS = 20
_MOST_FIELDS = 1024
_MOST_CHARACTERS = 300  # of each half of an error's message
_REMEDY = "Get the folder from its author again, or export the policy again."

# On systems that lack a flag its question does not arise, or is answered by the checks around it.
_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):
    _FLAGS |= getattr(os, _name, 0)


class PolicyFileError(ValueError):
    """A file of an exported policy cannot be used; the message names it, the fault and a remedy."""


def refuse(file: Path, must: str, got: str, remedy: str = _REMEDY) -> PolicyFileError:
    """Return the error that says what a file must do, and what it does instead."""
    return PolicyFileError(f"`{file}` must {_one_line(must)}, got {_one_line(got)}. {remedy}")


def _one_line(text: str) -> str:
    """Return a text as it may be shown on any terminal: ASCII, without control characters."""
    short = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
    words = " ".join(short.split())
    return "".join(c if c.isascii() and c.isprintable() else ascii(c)[1:-1] for c in words)


def show(value: Any) -> str:
    """Return a short text for any value.

    >>> show(["ends", "a" * 100, [0] * 100])
    "['ends', 'aaaaaaaaaaaa...aaaaaaaaaaaaa', [0, 0, 0, 0, 0, 0, ...]]"
    """
    return reprlib.repr(value)


def read_file(file: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Args:
        file: Its path. A link is refused, whatever it points to.
        max_bytes: A longer file is refused before anything of it is read.

    Raises:
        FileNotFoundError: There is none.
        PolicyFileError: It is no regular file, too long, or cannot be read.
    """
    if file.is_symlink():
        raise refuse(file, "be a file", "a link", "Copy the file that it points to in its place.")
    try:
        with open(os.open(file, _FLAGS), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise refuse(file, "be a file", "a folder, a pipe or a device")
            if status.st_size > max_bytes:
                raise refuse(file, f"have at most {max_bytes} bytes", f"{status.st_size}")
            content = stream.read(max_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refuse(file, "be a file that can be read", f"{error.strerror}") from error
    if len(content) != status.st_size:
        raise refuse(file, "stay as it is while it is read", "a changed size", "Try again.")
    return content


def parse_object(content: bytes, file: Path) -> Node:
    """Return the JSON object that a file holds.

    Args:
        content: All its bytes, UTF-8.
        file: Its path, for errors.

    Raises:
        PolicyFileError: It is no JSON object, nested too deeply, or takes a liberty.
    """
    try:
        values = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_int=_bounded_integer,
            parse_float=_finite_float,
            parse_constant=_no_constant,
        )
    except RecursionError as error:
        raise refuse(file, "be shallow JSON", "brackets nested without end") from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are such
        raise refuse(file, "be complete JSON in UTF-8", f"a damaged file ({error})") from error
    return Node(values, file, "").check(dict, "a JSON object")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object with one key twice")
    return values


def _bounded_integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits)} characters")
    return int(digits)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number beyond all floats")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name}, which is no JSON")


@dataclass(frozen=True)
class Node:
    """One value in a parsed file, with the place it stands at.

    Attributes:
        value: What the parser returned.
        file: The file, for errors.
        where: The keys that lead here, as in "training.seed".
    """

    value: Any
    file: Path
    where: str

    def error(self, must_hold: str) -> PolicyFileError:
        """Return the error that says what must stand here instead."""
        place = f" at {show(self.where)}" if self.where else ""
        return refuse(self.file, f"hold {must_hold}{place}", show(self.value))

    def check(self, kind: type | tuple[type, ...], name: str) -> Node:
        """Return this node if its value is of exactly this type (a bool is no int here)."""
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(self.value) not in kinds:
            raise self.error(name)
        return self

    def fields(self, names: Sequence[str]) -> dict[str, Node]:
        """Return the fields of an object that has these and no others."""
        found = self.items()
        if found.keys() != set(names):
            wrong = sorted(found.keys() ^ set(names))
            raise self.error(f"an object with the fields {', '.join(names)} (see {show(wrong)})")
        return found

    def items(self) -> dict[str, Node]:
        """Return the fields of an object, which must not be too many."""
        if len(self.check(dict, "an object").value) > _MOST_FIELDS:
            raise self.error(f"an object of at most {_MOST_FIELDS} fields")
        prefix = f"{self.where}." if self.where else ""
        return {key: Node(v, self.file, prefix + key) for key, v in self.value.items()}

    def elements(self, least: int, most: int) -> Iterator[Node]:
        """Return the elements of a list of this length, both limits included."""
        if not least <= len(self.check(list, "a list").value) <= most:
            raise self.error(f"a list of {least} to {most} elements")
        return (Node(v, self.file, f"{self.where}[{i}]") for i, v in enumerate(self.value))

    def integer(self, least: int, most: int) -> int:
        """Return an integer from `least` to `most`, both included."""
        if type(self.value) is not int or not least <= self.value <= most:
            raise self.error(f"an integer from {least} to {most}")
        return self.value

    def number(self) -> float:
        """Return a finite number."""
        return float(self.check((int, float), "a number").value)

    def text(self) -> str:
        """Return a text."""
        text: str = self.check(str, "a text").value
        return text

    def choice(self, names: Sequence[str]) -> str:
        """Return one of these texts."""
        if type(self.value) is not str or self.value not in names:
            raise self.error(f"one of {', '.join(names)}")
        return self.value
