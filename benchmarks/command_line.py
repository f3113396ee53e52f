"""A benchmark's command line: a dataclass, an option a field; a tuple is a list."""

import argparse
import dataclasses
from typing import Any


def parse(kind: type[Any], description: str) -> Any:
    """The command line as an instance of a dataclass, an option a field."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    for field in dataclasses.fields(kind):
        name = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(name, action="store_true")
        elif isinstance(field.default, tuple):
            kind_of_one = type(field.default[0])
            parser.add_argument(name, type=kind_of_one, nargs="+", default=field.default)
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    return kind(**vars(parser.parse_args()))
