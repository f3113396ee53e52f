"""Read untrusted files within limits, strictly, and with one error class.

The files may be damaged or malicious, so nothing in them is trusted. A file is read only if it is a
regular file (no link, no endless pipe), and its size is checked first. JSON is parsed strictly:
unlike Python's parser, this one rejects duplicate keys, NaN and numbers of unlimited length. `Node`
then returns values of the expected types, or raises an error that names the place.
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

# 64-bit integers have at most 19 digits and a sign, or 20 digits if unsigned.
_MOST_DIGITS = 20
_MOST_FIELDS = 1024
_MOST_CHARACTERS = 300  # in each half of an error message
_REMEDY = "Get the folder from its author again, or export the policy again."

# Systems without a flag do not need it, or the other checks cover it.
_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):
    _FLAGS |= getattr(os, _name, 0)


class PolicyFileError(ValueError):
    """A file of an exported policy cannot be used; the message names it, the fault and a remedy."""


def refuse(file: Path, must: str, got: str, remedy: str = _REMEDY) -> PolicyFileError:
    """Return an error that says what a file must do, what it does instead, and a remedy."""
    return PolicyFileError(f"`{file}` must {_one_line(must)}, got {_one_line(got)}. {remedy}")


def _one_line(text: str) -> str:
    """Return a text that any terminal can show: one line of ASCII without control characters."""
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
        file: Its path. A link is rejected, whatever it points to.
        max_bytes: A longer file is rejected before it is read.

    Raises:
        FileNotFoundError: The file does not exist.
        PolicyFileError: It is not a regular file, is too long, or cannot be read.
    """
    if file.is_symlink():
        raise refuse(file, "be a file", "a link", "Replace it by a copy of the file it points to.")
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
        raise refuse(file, "not change while it is read", "a changed size", "Try again.")
    return content


def parse_object(content: bytes, file: Path) -> Node:
    """Parse a file that holds one JSON object.

    Args:
        content: The whole file, in UTF-8.
        file: Its path, for errors.

    Raises:
        PolicyFileError: It is not a JSON object, is nested too deeply, or is not strict JSON.
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
    except ValueError as error:  # also JSONDecodeError and UnicodeDecodeError
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
    raise ValueError(f"{name}, which is not JSON")


@dataclass(frozen=True)
class Node:
    """One value in a parsed file, with its place.

    Attributes:
        value: The parsed value.
        file: The file, for errors.
        where: The keys that lead to it, for example "training.seed".
    """

    value: Any
    file: Path
    where: str

    def error(self, must_hold: str, remedy: str = _REMEDY) -> PolicyFileError:
        """Return an error that says what the file must hold at this place, and a remedy."""
        place = f" at {show(self.where)}" if self.where else ""
        return refuse(self.file, f"hold {must_hold}{place}", show(self.value), remedy)

    def check(self, kind: type | tuple[type, ...], name: str) -> Node:
        """Return this node if its value has exactly this type (a bool is not an int here)."""
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(self.value) not in kinds:
            raise self.error(name)
        return self

    def fields(self, names: Sequence[str]) -> dict[str, Node]:
        """Return the fields of an object that must have exactly these names."""
        found = self.items()
        if found.keys() != set(names):
            wrong = sorted(found.keys() ^ set(names))
            raise self.error(f"an object with the fields {', '.join(names)} (see {show(wrong)})")
        return found

    def items(self) -> dict[str, Node]:
        """Return the fields of an object, which must have at most _MOST_FIELDS."""
        if len(self.check(dict, "an object").value) > _MOST_FIELDS:
            raise self.error(f"an object of at most {_MOST_FIELDS} fields")
        prefix = f"{self.where}." if self.where else ""
        return {key: Node(v, self.file, prefix + key) for key, v in self.value.items()}

    def elements(self, least: int, most: int) -> Iterator[Node]:
        """Return the elements of a list whose length is in [least, most]."""
        if not least <= len(self.check(list, "a list").value) <= most:
            raise self.error(f"a list of {least} to {most} elements")
        return (Node(v, self.file, f"{self.where}[{i}]") for i, v in enumerate(self.value))

    def integer(self, least: int, most: int) -> int:
        """Return an integer in [least, most]."""
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

    def choice(self, names: Sequence[str], remedy: str = _REMEDY) -> str:
        """Return one of these texts."""
        if type(self.value) is not str or self.value not in names:
            raise self.error(f"one of {', '.join(names)}", remedy)
        return self.value
