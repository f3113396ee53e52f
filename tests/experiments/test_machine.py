import os

import pytest

from rl3_sb3.experiments import machine
from rl3_sb3.experiments.machine import GIB, available_memory, n_cores, n_runs_at_a_time


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return a function that writes files below the places that a process asks Linux about."""
    monkeypatch.setattr(machine, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "_CONTROL_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def write(**texts):
        for name, text in texts.items():
            file = tmp_path / name.replace("__", "/").replace("_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


def test_where_nobody_tells_memory_sets_no_limit(files):
    assert n_cores() == 8
    assert available_memory() is None
    assert n_runs_at_a_time() == 8


def test_runs_share_the_memory_that_is_available(files):
    files(proc__meminfo=f"MemTotal: 99 kB\nMemAvailable:   {7 * 2**20} kB\n")
    assert available_memory() == 7 * GIB
    assert n_runs_at_a_time(2 * GIB) == 3
    assert n_runs_at_a_time(0.1 * GIB) == 8
    assert n_runs_at_a_time(9 * GIB) == 1, "one may always try"


def test_limits_of_a_control_group_and_of_those_around_it_count(files):
    files(
        proc__meminfo=f"MemAvailable: {100 * 2**20} kB\n",
        proc__self__cgroup="0::/job/step\n",
        groups__job__cpu_max="250000 100000\n",
        groups__job__memory_max=f"{10 * GIB}\n",
        groups__job__memory_current=f"{7 * GIB}\n",
        groups__job__memory_stat=f"anon 5\ninactive_file {3 * GIB}\n",
        groups__job__step__cpu_max="max 100000\n",
        groups__job__step__memory_max="max\n",
    )
    assert n_cores() == 2  # two and a half
    assert available_memory() == 6 * GIB  # caches are given back
    files(groups__job__step__cpu_max="50000 100000\n")
    assert n_cores() == 1, "half a core"
