import pathlib
import subprocess
import sys

import rl3_sb3


def test_the_general_modules_load_nothing_of_vamdp_nor_sb3_contrib():
    files = pathlib.Path(rl3_sb3.__file__).parent.glob("*.py")
    modules = [f"rl3_sb3.{file.stem}" for file in files if not file.stem.startswith("__")]
    assert len(modules) > 5
    code = (
        f"import sys, {', '.join(modules)};"
        "found = [m for m in sys.modules if m.split('.')[0] in ('vamdp', 'numba', 'sb3_contrib')];"
        "sys.exit(str(found) if found else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
