import subprocess
import sys

import pytest

FORBIDDEN = ["torch", "stable_baselines3", "sb3_contrib", "rl3_sb3"]


@pytest.mark.parametrize("use", ["import vamdp", "import vamdp.vector, vamdp.domains"])
def test_vamdp_loads_neither_torch_nor_stable_baselines(use):
    code = f"import sys; {use}; print([m for m in {FORBIDDEN} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]", loaded.stderr


def test_wrapping_and_stepping_loads_them_neither():
    """Recorders of SB3 are recognised without importing it."""
    code = f"""
import sys, gymnasium, vamdp
env = vamdp.MetaEpisode(vamdp.ValueAugment(gymnasium.make("vamdp/Bandit-v0"), task_horizon=1), 3)
env.reset(seed=0)
for _ in range(3):
    env.step(0)
print([m for m in {FORBIDDEN} if m in sys.modules])
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]", loaded.stderr
