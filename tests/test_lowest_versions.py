"""The versions that CI tests beside the newest are the lowest that pip may install."""

import re
import tomllib
from pathlib import Path

TOP = Path(__file__).parents[1]
#: Its lowest version has no build for CPUs on the package index.
NOT_THE_LOWEST = {"torch"}


def test_the_lowest_constraints_are_the_declared_lower_bounds():
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
    declared = dict(
        re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()
        for requirement in [*project["dependencies"], *project["optional-dependencies"]["sb3"]]
    )
    pins = re.findall(
        r"^([\w.-]+)==([\d.]+)", (TOP / "constraints-lowest.txt").read_text("utf-8"), re.M
    )
    tested = {name.replace("_", "-").lower(): version for name, version in pins}
    for name in declared.keys() - NOT_THE_LOWEST:
        # 2.0 and 2.0.0 are the same version.
        assert re.fullmatch(re.escape(declared[name]) + r"(\.0)*", tested[name]), name
    assert NOT_THE_LOWEST < declared.keys() <= tested.keys()
