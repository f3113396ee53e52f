"""What re-planning costs per environment step: vamdp's learner beside dense ways to the same Q.

An agent walks gridworlds of 13x13 for H steps; after every step the values of all states met so far
are estimated anew from the counts. Recorded once, each walk is then replayed through

    dense numba       T and R rebuilt from the counts after each step, dense sweeps, compiled
    vamdp, single     vamdp's learner as ValueAugment calls it: one compiled call a step learns,
                      plans and writes the values of the state reached
    vamdp, batch      vamdp's BatchValueEstimator, all tasks in one call; its time is per task
    C twin, single    the same algorithm in C (`planning_twin.c`), one call a step from Python, and
    C twin, batch     all tasks in one call: how fast the algorithm could be; without a C compiler
                      left out
    NumPy, matvec     the dense way in NumPy, a sweep being one matrix-vector product
    NumPy, einsum     the same, a sweep being np.einsum
    quantecon         DiscreteDP rebuilt after each step, if quantecon is installed

in turns within one process and one thread, so that a busy machine slows all alike. A round times
every way once; the table shows medians over rounds, their range, and the ratio to dense numba
(median of the rounds' own ratios). There are two agents: one that explores, and one that exploits
what it knows. NumPy and quantecon are slow and replay fewer walks, of the exploring agent alone:
the times are per step of those walks, and their ratios compare with dense numba on the same walks.
Before anything is timed, all ways are checked to give the same Q to 1e-9 after every step, and the
C twin the same Q and sweeps to the last bit.

Only the ratios travel between machines. Run:

    OMP_NUM_THREADS=1 python benchmarks/planning.py
    OMP_NUM_THREADS=1 python benchmarks/planning.py --smoke       (seconds; checks, no figures)
"""

import dataclasses
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator

import numba
import numpy as np
from command_line import parse
from dense_planning import (
    dense_numba,
    numpy_einsum,
    numpy_matvec,
    quantecon,
    quantecon_solver,
)
from planning_twin import Twin, compile_twin, room, twin_batch, twin_single
from timing import cpu_seconds
from walks import Walk, WalkArguments, options, walk

import vamdp
from vamdp.estimators.model_based.fast_step import FastStep

FIRST_STEP = """
import time
start = time.perf_counter()
import vamdp
imported = time.perf_counter()
estimator = vamdp.ValueEstimator(5, task_horizon=350)
estimator.update((6, 6), 1, -1.0, (5, 6), False)
estimator.q_values((6, 6))
print(imported - start, time.perf_counter() - imported)
"""


@dataclasses.dataclass
class Arguments(WalkArguments):
    """What to measure."""

    exploiting: float = 0.95
    """The greediness of the agent that exploits."""
    tasks: int = 32
    """Grids walked through, each its own."""
    slow_tasks: int = 4
    """Of these, how many the NumPy and quantecon ways replay; the checks too."""
    rounds: int = 7
    """How often each way is timed; medians are reported."""
    seed: int = 0
    """Of grids and walks."""
    smoke: bool = False
    """Two short walks and one round: checks that everything runs."""


# Our ways. Each is an iterator that learns one step and plans at each `next`.


def single(walk: Walk, arguments: WalkArguments) -> Iterator[vamdp.ValueEstimator]:
    """Our learner, one compiled call a step; Q is read only where the check asks for it."""
    estimator = vamdp.ValueEstimator(5, task_horizon=arguments.horizon, **options(arguments))
    learner = FastStep(estimator.batch)
    vector = np.zeros(2 * 5 + 1, np.float32)
    cells = [(tuple(cell), tuple(reached)) for cell, reached in walk.cells.tolist()]
    present = None
    for (cell, reached), action, reward, end in zip(
        cells, walk.steps[:, 1].tolist(), walk.rewards.tolist(), walk.ends.tolist(), strict=True
    ):
        if cell != present:  # at the start, and after a restart; otherwise the learner is there
            learner.begin(cell)
        learner.step(action, reward, reached, end, None, vector)
        present = reached
        yield estimator


def batch(walks: list[Walk], arguments: WalkArguments) -> Iterator[vamdp.BatchValueEstimator]:
    """Our learner for all tasks at once."""
    estimator = vamdp.BatchValueEstimator(
        len(walks), 5, task_horizon=arguments.horizon, **options(arguments)
    )
    cells = np.stack([w.cells for w in walks], axis=1)  # (H, n_tasks, 2, 2)
    actions = np.stack([w.steps[:, 1] for w in walks], axis=1)
    rewards = np.stack([w.rewards for w in walks], axis=1)
    ends = np.stack([w.ends for w in walks], axis=1)
    for t in range(arguments.horizon):
        estimator.update(cells[t, :, 0], actions[t], rewards[t], cells[t, :, 1], ends[t])
        estimator.plan()
        yield estimator


# Checks and timing

DENSE = "dense numba"
FEW = ", few"  # marks times on the walks that the slow ways replay too


def check_agreement(walks: list[Walk], arguments: Arguments) -> float:
    """The largest relative difference of Q between the ways, over all steps of the walks."""
    largest = 0.0
    in_batches = iter(batch(walks, arguments))
    ways = [
        [way(w, arguments) for way in (dense_numba, numpy_matvec, numpy_einsum, single)]
        for w in walks
    ]
    for t in range(arguments.horizon):
        together = next(in_batches)
        current = np.array([w.cells[t, 0] for w in walks])
        in_batch = together.q_values(current)
        for i, w in enumerate(walks):
            dense, matvec, einsum, estimator = (next(way) for way in ways[i])
            found = [matvec - dense, einsum - dense]
            # The states as the learner knows them: living ones only have a row to show.
            known = {s: c for (s, _, _), (c, _) in zip(w.steps[: t + 1], w.cells, strict=False)}
            for s, cell in known.items():
                found.append(estimator.q_values(tuple(cell.tolist())) - dense[s])
            found.append(in_batch[i] - dense[w.steps[t, 0]])
            difference = max(np.abs(x).max() for x in found) / max(1.0, np.abs(dense).max())
            assert difference < 1e-9, f"walk {i}, step {t}: Q differ by {difference}"
            largest = max(largest, difference)
    return largest


def check_twin(twin: Twin, walks: list[Walk], arguments: Arguments) -> None:
    """Assert that the C twin gives our Q and sweeps to the last bit, after every step."""
    for w in walks:
        for t, (estimator, (model, n_sweeps)) in enumerate(
            zip(single(w, arguments), twin_single(twin, w, arguments), strict=False)
        ):
            assert n_sweeps == estimator.n_sweeps, f"step {t}: {n_sweeps} sweeps in C"
            Q = twin.q_values(model, room(w))
            for (s, _, _), (cell, _) in zip(w.steps[: t + 1], w.cells.tolist(), strict=False):
                assert (Q[s] == estimator.q_values(tuple(cell))).all(), f"step {t}, state {s}"


def exhaust(iterator: Iterator[object]) -> None:
    """Run an iterator to its end."""
    for _ in iterator:
        pass


def measure(
    walks: list[Walk], arguments: Arguments, twin: Twin | None, n_few: int
) -> dict[str, list[float]]:
    """Seconds per task and step of each way, one entry a round; all ways in turns.

    The slow ways replay the first n_few walks, and the fast ones' times on these are kept too.
    """
    ways: dict[str, Callable[..., Iterator[object]]] = {DENSE: dense_numba, "vamdp, single": single}
    together: dict[str, Callable[..., Iterator[object]]] = {"vamdp, batch": batch}
    if twin is not None:
        ways["C twin, single"] = lambda *x: twin_single(twin, *x)
        together["C twin, batch"] = lambda *x: twin_batch(twin, *x)
    slow: dict[str, Callable[..., Iterator[object]]] = {}
    if n_few:
        slow = {"NumPy, matvec": numpy_matvec, "NumPy, einsum": numpy_einsum}
        if quantecon is not None:
            slow["quantecon"] = quantecon_solver
    times: dict[str, list[float]] = {name: [] for name in [*ways, *together, *slow]}
    times |= {name + FEW: [] for name in ways if n_few}
    for _ in range(arguments.rounds):
        # Walk by walk, so that a busy spell hits all ways.
        spent = [
            {
                name: cpu_seconds(lambda w=w, way=way: exhaust(way(w, arguments)))
                for name, way in (ways | slow if i < n_few else ways).items()
            }
            for i, w in enumerate(walks)
        ]
        steps = arguments.horizon
        for name in ways:
            times[name].append(sum(s[name] for s in spent) / len(walks) / steps)
            if n_few:
                times[name + FEW].append(sum(s[name] for s in spent[:n_few]) / n_few / steps)
        for name in slow:
            times[name].append(sum(s[name] for s in spent[:n_few]) / n_few / steps)
        for name, way in together.items():
            spent_together = cpu_seconds(lambda way=way: exhaust(way(walks, arguments)))
            times[name].append(spent_together / len(walks) / steps)
    return times


def first_step() -> tuple[float, float]:
    """Seconds to import vamdp and to take the first step, in a fresh process, code cached."""
    command = [sys.executable, "-c", FIRST_STEP]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(4)]
    imported, stepped = zip(*(map(float, run.stdout.split()) for run in runs[1:]), strict=True)
    return statistics.median(imported), statistics.median(stepped)


def report(name: str, mine: list[float], reference: list[float]) -> None:
    """One line: median and range in microseconds, and the ratio to the reference."""
    low, middle, high = (1e6 * f(mine) for f in (min, statistics.median, max))
    print(f"  {name:<22} {middle:9.2f}   {low:9.2f} - {high:9.2f}   {ratios(reference, mine, 'x')}")


def ratios(of: list[float], to: list[float], unit: str = "") -> str:
    """Median and range of the rounds' own ratios."""
    each = sorted(a / b for a, b in zip(of, to, strict=True))
    return f"{statistics.median(each):7.2f}{unit}   {each[0]:.2f} - {each[-1]:.2f}"


def describe(walks: list[Walk], arguments: Arguments) -> None:
    """Print what the walks ask of planning, and the memory that it takes."""
    learners = [list(single(w, arguments))[-1] for w in walks]
    sweeps = np.array([[e.n_sweeps for e in single(w, arguments)] for w in walks])
    n_states = [int(w.n_states[-1]) for w in walks]
    triples = [len(np.unique(w.steps, axis=0)) for w in walks]
    print(
        f"sweeps per step: mean {sweeps.mean():.1f}, {np.mean(sweeps == arguments.horizon):.0%} of "
        f"steps at the cap; states at the end: median {statistics.median(n_states):.0f}, most "
        f"{max(n_states)}; triples: median {statistics.median(triples):.0f}, most {max(triples)}"
    )
    print(f"bytes per task: {max(e.nbytes for e in learners) / 1024:.1f} KB at most")


def compare(title: str, arguments: Arguments, twin: Twin | None, n_few: int) -> None:
    """Walk, check, time, report, for one agent."""
    print(f"\n{title}: greediness {arguments.greediness}")
    rng = np.random.default_rng(arguments.seed)
    walks = [walk(rng, arguments) for _ in range(arguments.tasks)]
    describe(walks, arguments)
    worst = check_agreement(walks[: arguments.slow_tasks], arguments)
    print(f"all ways agree on Q to {worst:.1e} relative, after every step")
    if twin is not None:
        check_twin(twin, walks[: arguments.slow_tasks], arguments)
    times = measure(walks, arguments, twin, n_few)
    print(f"  {'microseconds a step':<22} {'median':>9}   {'range':^21}   dense numba / this")
    for name, mine in times.items():
        few = name in ("NumPy, matvec", "NumPy, einsum", "quantecon") or name.endswith(FEW)
        report(name, mine, times[DENSE + FEW if few else DENSE])
    for kind in ("single", "batch"):
        if twin is not None:
            ratio = ratios(times[f"vamdp, {kind}"], times[f"C twin, {kind}"])
            print(f"  vamdp / C twin, {kind}: {ratio}")
    for name in ("NumPy, matvec", "NumPy, einsum") if n_few else ():
        print(f"  {name} / vamdp, single: {ratios(times[name], times['vamdp, single' + FEW])}")


def main(arguments: Arguments) -> None:
    """Compare on what an exploring and an exploiting agent do."""
    if arguments.smoke:
        arguments = dataclasses.replace(
            arguments, size=11, horizon=40, tasks=2, slow_tasks=1, rounds=1
        )
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"numpy {np.__version__}, numba {numba.__version__}, vamdp {vamdp.__version__}")
    print(arguments)
    twin = compile_twin()
    if twin is None:
        print("no C compiler found: the C twin is left out")
    compare("An agent that explores", arguments, twin, arguments.slow_tasks)
    exploiting = dataclasses.replace(arguments, greediness=arguments.exploiting)
    compare("An agent that exploits", exploiting, twin, 0)
    imported, stepped = first_step()
    print(f"\nfresh process, code cached: import {imported:.2f} s, first step {stepped:.2f} s")


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
