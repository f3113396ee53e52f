import pathlib
import subprocess
import sys

import rl3_sb3


# numba is loaded by the first use of `cpu_kernels`.
def test_the_general_modules_load_neither_vamdp_nor_numba_nor_sb3_contrib():
    package = pathlib.Path(rl3_sb3.__file__).parent
    files = package.glob("**/*.py")
    parts = [file.relative_to(package.parent).with_suffix("").parts for file in files]
    parts = [part for part in parts if part[1] not in ("experiments", "cpu_kernels")]
    modules = [".".join(part) for part in parts if not part[-1].startswith("__")]
    assert len(modules) > 20
    code = (
        f"import sys, {', '.join(modules)};"
        "found = [m for m in sys.modules if m.split('.')[0] in ('vamdp', 'numba', 'sb3_contrib')];"
        "sys.exit(str(found) if found else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
