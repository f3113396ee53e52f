"""The compiled kernels: with threads, in forked processes, uncompiled, and installed read-only."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import vamdp
from vamdp.estimators.model_based.kernels import MOST_THREADS

REPOSITORY = Path(vamdp.__file__).parents[1]

# A walk through all of the learner: clusters, masks, ends, growth, forgetting; a gridworld drawn.
# Prints every float.
SCRIPT = """
import json, numpy as np, vamdp

rng = np.random.default_rng(0)
numbers = []
for options in (
    {},
    {"gamma": 0.9, "warm_start": True, "reward_model": "state_action"},
    {"cluster_size": 3, "cluster_radius": 2.0, "smoothing": 0.5},
    {"bonus": 2.0, "prior_mean": 1.0, "prior_weight": 0.5},
):
    batch = vamdp.BatchValueEstimator(2, 3, task_horizon=15, **options)
    for t in range(30):
        states, next_states = rng.integers(-3, 4, size=(2, 2, 2))
        masks = rng.random((2, 3)) < 0.8
        masks[:, 0] = True
        ends = rng.random(2) < 0.2
        batch.update(
            states, rng.integers(3, size=2), rng.normal(size=2), next_states, ends,
            masks if t % 2 else None,
        )
        numbers += [*batch.q_values(states).ravel(), *batch.value(states), *batch.n_sweeps]
    batch.set_action_masks(states, masks)
    batch.forget([True, False])
    batch.update(states, [0, 1], [1.0, 2.0], next_states, [False, False])
    out = np.zeros((2, 7), np.float32)
    batch.write(states, vamdp.estimators.Scales(2.0, 5.0), out)
    numbers += [*out.ravel(), *batch.model(1).P.ravel(), *batch.model(1).R.ravel()]
for name, options in (
    ("q-learning", {"n_replayed": 2}),
    ("dyna-q", {"n_planned": 3, "memory_size": 4}),
    ("posterior-sampling", {"gamma": 0.9}),
):
    learner = vamdp.estimators.BUILT_INS[name].make(2, 3, 9, options)
    learner.begin_tasks(np.ones(2, bool), [0, 1])
    out = np.zeros((2, 10 if name == "posterior-sampling" else 7), np.float32)
    for t in range(30):
        states, next_states = rng.integers(3, size=(2, 2, 2))
        ends, masks = rng.random(2) < 0.2, rng.random((2, 3)) < 0.8
        actions, rewards = rng.integers(3, size=2), rng.normal(size=2)
        learner.update(states, actions, rewards, next_states, ends, masks)
        learner.begin_episodes(ends, states.astype(float), masks)
        learner.write(states, vamdp.estimators.Scales(2.0, 5.0), out)
        numbers += [*learner.q_values(states).ravel(), *learner.value(states), *out.ravel()]
out = np.zeros((2, 7), np.float32)
for name, options in (
    ("kernel", {"width": 0.5}),
    ("linear", {"features": 4, "n_improvements": 2}),
):
    learner = vamdp.estimators.BUILT_INS[name].make(2, 3, 9, options)
    for t in range(25):
        states, next_states = rng.uniform(-2, 2, size=(2, 2, 2))
        ends, masks = rng.random(2) < 0.2, rng.random((2, 3)) < 0.8
        rewards = rng.normal(size=2)
        learner.update(states, rng.integers(3, size=2), rewards, next_states, ends, masks)
        learner.write(next_states, vamdp.estimators.Scales(2.0, 5.0), out)
        numbers += [*learner.q_values(states).ravel(), *learner.counts(states).ravel()]
        numbers += [*learner.value(next_states), *out.ravel()]
P = rng.dirichlet(np.ones(5), (5, 3))
numbers += [*vamdp.value_iteration(P, rng.normal(size=(5, 3)), max_sweeps=30).Q.ravel()]
grid = vamdp.domains.GridWorlds(11, "dangerous")(np.random.default_rng(3))
numbers += [*grid.probability, *grid.reward, *grid.successor, *map(ord, "".join(grid.grid))]
print(json.dumps([float(x).hex() for x in numbers]))
"""


def run(script, *, package=REPOSITORY, before=None, **environment):
    """What the script prints, as run by a fresh interpreter."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=os.environ | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        cwd="/",
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="module")
def compiled_numbers():
    return run(SCRIPT)


def test_compiled_code_equals_plain_python_bit_for_bit(compiled_numbers):
    assert len(compiled_numbers) > 500
    assert run(SCRIPT, NUMBA_DISABLE_JIT="1") == compiled_numbers


# Steps of environments, single and batched, with each kind of reward noise.
STEPS = """
import gymnasium, vamdp

for name, options in (("Bandit", {}), ("RandomMDP", {}), ("GridWorld", {"size": 11})):
    env = vamdp.ValueAugment(gymnasium.make(f"vamdp/{name}-v0", **options), task_horizon=10)
    envs = gymnasium.make_vec(
        f"vamdp/{name}-v0", num_envs=2, vectorization_mode="vector_entry_point", **options
    )
    envs = vamdp.vector.ValueAugment(envs, task_horizon=10)
    env.reset(seed=0), envs.reset(seed=0)
    for t in range(50):
        envs.step(np.array([t % 2, 1]))
        *_, terminated, truncated, _ = env.step(t % 2)
        if terminated or truncated:
            env.reset()
    del env, envs
"""
LEFT = """
import gc
from numba.core.runtime import rtsys

del batch, learner, grid
gc.collect()
stats = rtsys.get_allocation_stats()
print(json.dumps([stats.alloc, stats.free, stats.mi_alloc, stats.mi_free]))
"""


def test_compiled_code_frees_all_memory_that_it_allocates():
    # A function with `borrows=True` frees nothing: were it given new arrays, they would stay.
    script = SCRIPT.replace("print(", "str(") + STEPS + LEFT
    allocated, freed, arrays_allocated, arrays_freed = run(script, NUMBA_NRT_STATS="1")
    assert allocated > 1000
    assert (freed, arrays_freed) == (allocated, arrays_allocated)


# Threads

needs_threads = pytest.mark.skipif(MOST_THREADS < 2, reason="one core only")


def batch_of(threads, n_tasks=8):
    return vamdp.BatchValueEstimator(n_tasks, 3, task_horizon=20, threads=threads)


def feed(batches, seed, n_steps=60):
    rng = np.random.default_rng(seed)
    n = batches[0].n_tasks
    for _ in range(n_steps):
        step = (
            rng.integers(12, size=n),
            rng.integers(3, size=n),
            rng.normal(size=n),
            rng.integers(12, size=n),
            rng.random(n) < 0.1,
        )
        for batch in batches:
            batch.update(*step)


def tables(batch):
    return np.array([batch.q_values(np.full(batch.n_tasks, s)) for s in range(12)])


@needs_threads
def test_two_threads_give_what_one_gives_bit_for_bit():
    one, two = batch_of(1), batch_of(2)
    feed([one, two], seed=0)
    np.testing.assert_array_equal(tables(one), tables(two))
    np.testing.assert_array_equal(one.n_sweeps, two.n_sweeps)
    out = [np.zeros((8, 7), np.float32) for _ in range(2)]
    states, ends = np.arange(8), np.zeros(8, bool)
    for batch, room in zip((one, two), out, strict=True):
        batch.update(states, np.ones(8, np.int64), np.ones(8), states, ends)
        batch.write(states, vamdp.estimators.Scales(), room)
    np.testing.assert_array_equal(*out)


IN_PYTHON_THREADS = """
import threading, numpy as np, vamdp
def learn(batch, seed):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        states, next_states = rng.integers(20, size=(2, 16))
        actions, ends = rng.integers(4, size=16), np.zeros(16, bool)
        batch.update(states, actions, rng.normal(size=16), next_states, ends)
        batch.q_values(states)
def batches(threads):
    return [vamdp.BatchValueEstimator(16, 4, task_horizon=60, threads=threads) for _ in range(3)]
expected, found = batches(1), batches(2)
for seed in range(3):
    learn(expected[seed], seed)
learn(batches(2)[0], 0)  # compiled
workers = [threading.Thread(target=learn, args=(found[seed], seed)) for seed in range(3)]
[worker.start() for worker in workers], [worker.join() for worker in workers]
for ours, theirs in zip(found, expected):
    for state in range(20):
        assert (ours.q_values([state] * 16) == theirs.q_values([state] * 16)).all()
"""


@needs_threads
@pytest.mark.slow
def test_python_threads_may_use_two_threads_each_where_numba_has_only_its_own_layer():
    """Unguarded, that layer, the only one of its wheels for macOS, aborts the process."""
    finished = subprocess.run(
        [sys.executable, "-c", IN_PYTHON_THREADS],
        env={**os.environ, "NUMBA_THREADING_LAYER": "workqueue"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


def in_forked_child(function, limit=60.0):
    """The exit status of `function` run in a forked child; killed after `limit` seconds."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = function()
        finally:
            os._exit(status)  # nothing of the test runner's may run twice
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "still running"


@needs_threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_forked_after_a_threaded_run_learns_on_serially():
    parent, expected = batch_of(2), batch_of(1)
    feed([parent, expected], seed=0)  # the parent's threads are now running
    feed([expected], seed=1)

    def child_of_the_same_estimator():
        feed([parent], seed=1)
        return int(not np.array_equal(tables(parent), tables(expected)))

    def child_with_an_estimator_of_its_own():
        mine = batch_of(2)
        feed([mine], seed=0)
        feed([mine], seed=1)
        return int(not np.array_equal(tables(mine), tables(expected)))

    assert in_forked_child(child_of_the_same_estimator) == 0
    assert in_forked_child(child_with_an_estimator_of_its_own) == 0
    feed([parent], seed=1)  # and the parent's threads are unharmed
    np.testing.assert_array_equal(tables(parent), tables(expected))


# Installed where nothing can be written

TRY_TO_WRITE = """
import json, os, pathlib, vamdp
package = pathlib.Path(vamdp.__file__).parent
try:
    (package / "touched").touch()
except OSError:
    writable = False
else:
    writable = True
V = vamdp.value_iteration([[[1.0]]], [[1.0]], gamma=0.5, max_sweeps=2).V
print(json.dumps([str(package), writable, V.tolist()]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
def test_a_package_that_cannot_be_written_works_with_a_cache_elsewhere(tmp_path, obey_permissions):
    installed, cache = tmp_path / "installed", tmp_path / "cache"
    shutil.copytree(
        REPOSITORY / "vamdp", installed / "vamdp", ignore=shutil.ignore_patterns("__pycache__")
    )
    directories = [installed, *(path for path in installed.rglob("*") if path.is_dir())]
    for directory in directories:
        directory.chmod(0o555)
    try:
        package, writable, V = run(
            TRY_TO_WRITE, package=installed, before=obey_permissions, NUMBA_CACHE_DIR=str(cache)
        )
    finally:
        for directory in directories:
            directory.chmod(0o755)
    if writable:
        pytest.skip("this user writes whatever the permissions say")
    assert package == str(installed / "vamdp")
    assert V == [1.5]
    assert list(cache.rglob("*.nbi"))
    assert not list(installed.rglob("*.nbi"))
