"""What re-planning costs per environment step: vamdp's learner beside dense ways to the same Q.

An exploring agent walks gridworlds of 13x13 for H steps; after every step the values of all states
met so far are estimated anew from the counts. Recorded once, each walk is then replayed through

    dense numba       T and R rebuilt from the counts after each step, dense sweeps, compiled
    NumPy, matvec     the same in NumPy, a sweep being one matrix-vector product
    NumPy, einsum     the same, a sweep being np.einsum
    ValueEstimator    vamdp's learner, called from Python
    batch             vamdp's BatchValueEstimator, all tasks in one call; its time is per task
    quantecon         DiscreteDP rebuilt after each step, if quantecon is installed

in turns within one process and one thread, so that a busy machine slows all alike. A round times
every way once; the table shows medians over rounds, their range, and the ratio to dense numba
(median of the rounds' own ratios). NumPy and quantecon are slow and replay fewer walks: the times
are per step of those walks, and their ratios compare with dense numba on the same walks. Before
anything is timed, all ways are checked to give the same Q to 1e-9 after every step.

Only the ratios travel between machines. Run:

    OMP_NUM_THREADS=1 python benchmarks/planning.py
    OMP_NUM_THREADS=1 python benchmarks/planning.py --smoke       (seconds; checks, no figures)
"""

import argparse
import dataclasses
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

import vamdp
from vamdp.domains import GridWorlds

try:
    import quantecon
except ImportError:
    quantecon = None

FIRST_STEP = """
import time
start = time.perf_counter()
import vamdp
imported = time.perf_counter()
vamdp.ValueEstimator(5, task_horizon=350).update((6, 6), 1, -1.0, (5, 6), False)
print(imported - start, time.perf_counter() - imported)
"""


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    size: int = 13
    """Rows and columns of the grids, 11 or 13."""
    horizon: int = 350
    """Environment steps a walk, and the most sweeps of one planning."""
    tasks: int = 32
    """Grids walked through, each its own."""
    slow_tasks: int = 4
    """Of these, how many the NumPy and quantecon ways replay."""
    rounds: int = 7
    """How often each way is timed; medians are reported."""
    greediness: float = 0.3
    """Share of steps that take the best action known; the others the move least tried."""
    gamma: float = 1.0
    """Discount factor."""
    tolerance: float = 0.01
    """Planning stops after a sweep in which no Q moved by this much."""
    smoothing: float = 0.1
    """Laplace pseudo-count of every transition."""
    seed: int = 0
    """Of grids and walks."""
    smoke: bool = False
    """Two short walks and one round: checks that everything runs."""


class Walk(NamedTuple):
    """One task's transitions, states numbered in order of first visit as the learner does.

    Attributes:
        steps: (H, 3) state, action, next state; terminal copies are states of their own.
        rewards: (H,).
        cells: (H, 2, 2) the same states as the learner is told them, (row, column).
        ends: (H,) whether the step terminated.
        n_states: (H,) states met after each step.
    """

    steps: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int64]
    ends: npt.NDArray[np.bool_]
    n_states: npt.NDArray[np.int64]


def walk(rng: np.random.Generator, arguments: Arguments) -> Walk:
    """One agent's H steps in one grid, restarting where an episode ends."""
    env = vamdp.TaskEnv(GridWorlds(arguments.size), feature_scale=arguments.size)
    cell = start = env.state_key(env.reset(seed=int(rng.integers(2**31)))[0])
    estimator = vamdp.ValueEstimator(5, task_horizon=arguments.horizon, **options(arguments))
    numbers: dict[tuple[tuple[int, ...], bool], int] = {}
    steps, rewards, cells, ends, n_states = [], [], [], [], []
    for _ in range(arguments.horizon):
        counts = estimator.counts(cell)[1:]  # to stay explores nothing
        action = 1 + int(rng.choice(np.flatnonzero(counts == counts.min())))
        if rng.random() < arguments.greediness:
            action = int(estimator.q_values(cell).argmax())
        observation, reward, end, _, _ = env.step(action)
        reached = env.state_key(observation)
        estimator.update(cell, action, reward, reached, end)
        s = numbers.setdefault((cell, False), len(numbers))
        s_next = numbers.setdefault((reached, end), len(numbers))
        steps.append((s, action, s_next))
        rewards.append(reward)
        cells.append((cell, reached))
        ends.append(end)
        n_states.append(len(numbers))
        cell = reached
        if end:
            env.reset()
            cell = start
    return Walk(*map(np.array, (steps, rewards, cells, ends, n_states)))


def options(arguments: Arguments) -> dict[str, float]:
    """The estimator's options."""
    names = ("gamma", "tolerance", "smoothing")
    return {name: getattr(arguments, name) for name in names}


# The ways. Each is an iterator that learns one step and plans at each `next`, and gives Q (S, A).


@numba.njit(cache=True)
def _dense_step(  # noqa: C901 (one plain function, so that nothing is lost between calls)
    s, a, s_next, reward, end, S, N, G, terminal, T, R, Q, new_Q, V, gamma, tolerance, alpha, most
):
    N[s, a, s_next] += 1
    G[s, a, s_next] += reward
    terminal[s_next] = end or terminal[s_next]
    n_actions = N.shape[1]
    for i in range(S):
        for b in range(n_actions):
            n = 0.0
            for j in range(S):
                n += N[i, b, j]
            R[i, b] = 0.0
            if terminal[i]:
                for j in range(S):
                    T[i, b, j] = 0.0
            elif n == 0:
                for j in range(S):
                    T[i, b, j] = gamma / S
            else:
                share = 1.0 / (n + alpha * S)
                for j in range(S):
                    p = (N[i, b, j] + alpha) * share
                    T[i, b, j] = gamma * p
                    if N[i, b, j] > 0:
                        R[i, b] += p * (G[i, b, j] / N[i, b, j])
            Q[i, b] = 0.0
        V[i] = 0.0
    for _ in range(most):
        moved = 0.0
        for i in range(S):
            for b in range(n_actions):
                q = R[i, b]
                # Four partial sums, so that no addition waits for the one before.
                q0 = q1 = q2 = q3 = 0.0
                row = T[i, b]
                fours = S - S % 4
                for j in range(0, fours, 4):
                    q0 += row[j] * V[j]
                    q1 += row[j + 1] * V[j + 1]
                    q2 += row[j + 2] * V[j + 2]
                    q3 += row[j + 3] * V[j + 3]
                for j in range(fours, S):
                    q0 += row[j] * V[j]
                new_Q[i, b] = q + ((q0 + q1) + (q2 + q3))
        for i in range(S):
            best = -np.inf
            for b in range(n_actions):
                moved = max(moved, abs(new_Q[i, b] - Q[i, b]))
                Q[i, b] = new_Q[i, b]
                best = max(best, new_Q[i, b])
            V[i] = best
        if moved < tolerance - 1e-10:
            break


def dense_numba(walk: Walk, arguments: Arguments) -> Iterator[npt.NDArray[np.float64]]:
    """What the paper's released code does: everything rebuilt, in one compiled call a step."""
    most = int(walk.n_states[-1])
    N, G, T = (np.zeros((most, 5, most)) for _ in range(3))
    R, Q, new_Q = (np.zeros((most, 5)) for _ in range(3))
    V, terminal = np.zeros(most), np.zeros(most, np.bool_)
    scalars = (arguments.gamma, arguments.tolerance, arguments.smoothing, arguments.horizon)
    for (s, a, s_next), reward, end, S in zip(
        walk.steps.tolist(),
        walk.rewards.tolist(),
        walk.ends.tolist(),
        walk.n_states.tolist(),
        strict=True,
    ):
        _dense_step(
            s, a, s_next, reward, end, S, N, G, terminal, T, R, Q, new_Q, V, *scalars
        )  # fmt: skip
        yield Q[:S]


def dense_model(
    walk: Walk, arguments: Arguments
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]]:
    """Rebuild P (S, A, S) and R (S, A) after each step, with NumPy; 0 in terminal states."""
    most = int(walk.n_states[-1])
    N, G, terminal = np.zeros((most, 5, most)), np.zeros((most, 5, most)), np.zeros(most, bool)
    alpha = arguments.smoothing
    for (s, a, s_next), reward, end, S in zip(
        walk.steps.tolist(), walk.rewards, walk.ends, walk.n_states.tolist(), strict=True
    ):
        N[s, a, s_next] += 1
        G[s, a, s_next] += reward
        terminal[s_next] |= end
        counts = N[:S, :, :S]
        n = counts.sum(axis=2, keepdims=True)
        P = (counts + alpha) / (n + alpha * S)
        P[n[..., 0] == 0] = 1 / S
        P[terminal[:S]] = 0.0
        R = (P * G[:S, :, :S] / np.maximum(counts, 1)).sum(axis=2)
        yield P, R, terminal[:S]


def numpy_matvec(walk: Walk, arguments: Arguments) -> Iterator[npt.NDArray[np.float64]]:
    """Dense sweeps, each one matrix-vector product."""
    for P, R, _ in dense_model(walk, arguments):
        shape, flat = R.shape, arguments.gamma * P.reshape(R.size, -1)
        Q = np.zeros(shape)
        for _ in range(arguments.horizon):
            old, Q = Q, R + (flat @ Q.max(axis=1)).reshape(shape)
            if np.abs(Q - old).max() < arguments.tolerance - 1e-10:
                break
        yield Q


def numpy_einsum(walk: Walk, arguments: Arguments) -> Iterator[npt.NDArray[np.float64]]:
    """Dense sweeps, each one einsum."""
    for P, R, _ in dense_model(walk, arguments):
        Q = np.zeros(R.shape)
        for _ in range(arguments.horizon):
            old, Q = Q, R + arguments.gamma * np.einsum("ijk,k->ij", P, Q.max(axis=1))
            if np.abs(Q - old).max() < arguments.tolerance - 1e-10:
                break
        yield Q


def quantecon_solver(walk: Walk, arguments: Arguments) -> Iterator[npt.NDArray[np.float64]]:
    """DiscreteDP rebuilt after each step; its own stopping rule, so only its time is compared."""
    gamma = min(arguments.gamma, 0.9999)  # DiscreteDP refuses 1
    for P, R, terminal in dense_model(walk, arguments):
        P[terminal, :, :] = np.eye(len(P))[terminal, None, :]
        problem = quantecon.markov.DiscreteDP(R, P, gamma)
        result = problem.solve(
            method="value_iteration", epsilon=arguments.tolerance, max_iter=arguments.horizon
        )
        yield R + gamma * P @ result.v


def value_estimator(walk: Walk, arguments: Arguments) -> Iterator[vamdp.ValueEstimator]:
    """Our learner, one Python call a step; Q is read only where the check asks for it."""
    estimator = vamdp.ValueEstimator(5, task_horizon=arguments.horizon, **options(arguments))
    cells = [(tuple(cell), tuple(reached)) for cell, reached in walk.cells.tolist()]
    for (cell, reached), action, reward, end in zip(
        cells, walk.steps[:, 1].tolist(), walk.rewards.tolist(), walk.ends.tolist(), strict=True
    ):
        estimator.update(cell, action, reward, reached, end)
        yield estimator


def batch_estimator(walks: list[Walk], arguments: Arguments) -> Iterator[vamdp.BatchValueEstimator]:
    """Our learner for all tasks at once, one Python call a step."""
    batch = vamdp.BatchValueEstimator(
        len(walks), 5, task_horizon=arguments.horizon, **options(arguments)
    )
    cells = np.stack([w.cells for w in walks], axis=1)  # (H, n_tasks, 2, 2)
    actions = np.stack([w.steps[:, 1] for w in walks], axis=1)
    rewards = np.stack([w.rewards for w in walks], axis=1)
    ends = np.stack([w.ends for w in walks], axis=1)
    for t in range(arguments.horizon):
        batch.update(cells[t, :, 0], actions[t], rewards[t], cells[t, :, 1], ends[t])
        yield batch


# Checks and timing

FEW = ", few"  # marks times on the walks that the slow ways replay too


def check_agreement(walks: list[Walk], arguments: Arguments) -> float:
    """The largest relative difference of Q between the ways, over all steps of the walks."""
    largest = 0.0
    batch = iter(batch_estimator(walks, arguments))
    ways = [
        [way(w, arguments) for way in (dense_numba, numpy_matvec, numpy_einsum, value_estimator)]
        for w in walks
    ]
    for t in range(arguments.horizon):
        together = next(batch)
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


def seconds(replay: Callable[[], object]) -> float:
    """CPU time of the call, which other processes disturb less than the clock on the wall."""
    start = time.process_time()
    replay()
    return time.process_time() - start


def exhaust(iterator: Iterator[object]) -> None:
    """Run an iterator to its end."""
    for _ in iterator:
        pass


def measure(walks: list[Walk], arguments: Arguments) -> dict[str, list[float]]:
    """Seconds per task and step of each way, one entry a round; all ways in turns."""
    ways: dict[str, Callable[..., Iterator[object]]] = {
        "dense numba": dense_numba,
        "ValueEstimator": value_estimator,
    }
    slow = {"NumPy, matvec": numpy_matvec, "NumPy, einsum": numpy_einsum}
    if quantecon is not None:
        slow["quantecon"] = quantecon_solver
    n_few = arguments.slow_tasks
    times: dict[str, list[float]] = {name: [] for name in [*ways, "batch", *slow]}
    times |= {name + FEW: [] for name in ways}
    for _ in range(arguments.rounds):
        # Walk by walk, so that a busy spell hits all ways.
        spent = [
            {
                name: seconds(lambda w=w, way=way: exhaust(way(w, arguments)))
                for name, way in (ways | slow if i < n_few else ways).items()
            }
            for i, w in enumerate(walks)
        ]
        steps = arguments.horizon
        for name in ways:
            times[name].append(sum(s[name] for s in spent) / len(walks) / steps)
            times[name + FEW].append(sum(s[name] for s in spent[:n_few]) / n_few / steps)
        for name in slow:
            times[name].append(sum(s[name] for s in spent[:n_few]) / n_few / steps)
        together = seconds(lambda: exhaust(batch_estimator(walks, arguments)))
        times["batch"].append(together / len(walks) / steps)
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
    ratios = sorted(r / m for m, r in zip(mine, reference, strict=True))
    print(
        f"  {name:<22} {middle:9.2f}   {low:9.2f} - {high:9.2f}   "
        f"{statistics.median(ratios):8.2f}x   {ratios[0]:7.2f} - {ratios[-1]:.2f}"
    )


def main(arguments: Arguments) -> None:
    """Walk, check, time, report."""
    if arguments.smoke:
        arguments = dataclasses.replace(
            arguments, size=11, horizon=40, tasks=2, slow_tasks=1, rounds=1
        )
    rng = np.random.default_rng(arguments.seed)
    walks = [walk(rng, arguments) for _ in range(arguments.tasks)]
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"numpy {np.__version__}, numba {numba.__version__}, vamdp {vamdp.__version__}")
    print(arguments)

    learners = [list(value_estimator(w, arguments))[-1] for w in walks]
    sweeps = [[e.n_sweeps for e in value_estimator(w, arguments)] for w in walks]
    n_states = [int(w.n_states[-1]) for w in walks]
    triples = [len(np.unique(w.steps, axis=0)) for w in walks]
    kilobytes = max(e.nbytes for e in learners) / 1024
    print(
        f"sweeps per step: mean {np.mean(sweeps):.1f}, "
        f"{np.mean(np.array(sweeps) == arguments.horizon):.0%} of steps at the cap; "
        f"states at the end: median {statistics.median(n_states):.0f}, most {max(n_states)}; "
        f"triples: median {statistics.median(triples):.0f}, most {max(triples)}"
    )
    worst = check_agreement(walks[: arguments.slow_tasks], arguments)
    print(f"all ways agree on Q to {worst:.1e} relative, after every step")
    times = measure(walks, arguments)
    print(f"\n  {'microseconds a step':<22} {'median':>9}   {'range':^21}   ratio to dense numba")
    for name in ("dense numba", "ValueEstimator", "batch"):
        report(name, times[name], times["dense numba"])
    print(f"  on {arguments.slow_tasks} of the walks:")
    for name in ("dense numba" + FEW, "NumPy, matvec", "NumPy, einsum", "ValueEstimator" + FEW):
        report(name, times[name], times["dense numba" + FEW])
    if quantecon is not None:
        report("quantecon", times["quantecon"], times["dense numba" + FEW])
    print("\nValueEstimator is so many times as fast as")
    for name in ("dense numba" + FEW, "NumPy, matvec", "NumPy, einsum"):
        ratios = sorted(
            slow / fast
            for slow, fast in zip(times[name], times["ValueEstimator" + FEW], strict=True)
        )
        print(f"  {name:<22} {statistics.median(ratios):6.1f}   {ratios[0]:.1f} - {ratios[-1]:.1f}")
    imported, stepped = first_step()
    print(f"\nbytes per task: {kilobytes:.1f} KB at most")
    print(f"fresh process, code cached: import {imported:.2f} s, first step {stepped:.2f} s")


def parse(kind: type[Any], description: str) -> Any:
    """The command line as an instance of a dataclass, an option a field."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    for field in dataclasses.fields(kind):
        name = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    return kind(**vars(parser.parse_args()))


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
