"""Where compiled code of both packages comes from."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def test_both_packages_have_the_same_module():
    one, other = REPOSITORY / "vamdp/compiled.py", REPOSITORY / "rl3_sb3/cpu_kernels/compiled.py"
    assert one.read_bytes() == other.read_bytes()


def test_all_compiled_code_goes_through_it():
    """numba's own `njit(cache=True)` raises on import where nothing can be written."""
    direct = [
        file.relative_to(REPOSITORY).as_posix()
        for package in ("vamdp", "rl3_sb3")
        for file in (REPOSITORY / package).rglob("*.py")
        if re.search(r"from numba import [^#\n]*\bnjit|numba\.njit", file.read_text("utf-8"))
    ]
    assert sorted(direct) == ["rl3_sb3/cpu_kernels/compiled.py", "vamdp/compiled.py"]
