"""The package's names, which are imported at their first use."""

import subprocess
import sys

import pytest

import rl3_sb3
from rl3_sb3.policy import POLICIES


def test_every_name_listed_can_be_imported():
    names = dir(rl3_sb3)
    assert {*rl3_sb3._MODULES, *POLICIES} <= {*names}
    for name in names:
        getattr(rl3_sb3, name)
    everything = {}
    exec("from rl3_sb3 import *", everything)
    assert {"TransformerPPO", "LstmPolicy", "load_policy"} <= everything.keys()


def test_only_what_is_offered_is_listed():
    hidden = {*vars(rl3_sb3)} - {*dir(rl3_sb3)}
    assert {"import_module", "suppress", "_policies", "_MODULES"} <= hidden
    assert len(dir(rl3_sb3)) == len({*dir(rl3_sb3)})


def test_an_unknown_policy_lists_the_known_ones():
    with pytest.raises(AttributeError, match=f"its policies are {', '.join(POLICIES)}"):
        rl3_sb3.MlpPolicy  # noqa: B018


@pytest.mark.parametrize("name", ["MlpPolicy", "nothing"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(rl3_sb3, name)


def test_names_can_be_listed_without_torch():
    code = "import sys; sys.modules['torch'] = None; import rl3_sb3; print(*dir(rl3_sb3))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "TransformerPPO" in done.stdout.split()
    assert "LstmPolicy" not in done.stdout
