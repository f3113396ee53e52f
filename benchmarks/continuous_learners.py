"""What learners of real-valued states cost a step, and what their values are worth.

A point moves in the unit square by five actions, with noise, at a cost of 0.05 a step; a disc pays
1 and ends the episode. Its walk, under actions that often repeat the last one, is recorded once and
replayed through

    bins         the tabular model-based learner on a grid of `bins` x `bins` cells
    kernel       the kernel model with at most 16, 64 and 128 representatives; the radius is such
                 that they are reached (m is the number at the end)
    linear       linear values on the two coordinates, and on 16 and 32 random Fourier features

in turns, on one thread, so that a busy machine slows all alike. A step is one `update` and one
`write` of a batch; the table shows the median over rounds of microseconds a step and task, their
range, and the ratio to bins. The last columns are means over random states at the end of the walk:
the error |Q - Q*| of all actions, and the regret max Q* - Q*(greedy action), where Q* is the
optimum by value iteration on a fine grid; the first line has the regret of acting at random.

    OMP_NUM_THREADS=1 python benchmarks/continuous_learners.py
    OMP_NUM_THREADS=1 python benchmarks/continuous_learners.py --smoke      (seconds; no figures)
"""

import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from command_line import parse

from vamdp.estimators import BUILT_INS, Scales

Array = npt.NDArray[Any]

MOVES = np.array([[0.0, 0.0], [0.1, 0.0], [-0.1, 0.0], [0.0, 0.1], [0.0, -0.1]])
GOAL, RADIUS, NOISE, COST = np.array([0.8, 0.7]), 0.15, 0.02, 0.05
N_ACTIONS = len(MOVES)


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    tasks: int = 16
    """Walks, learned from in one batch."""
    horizon: int = 300
    """Steps of a walk."""
    bins: int = 8
    """Cells along each side of the square."""
    gamma: float = 0.95
    """Discount factor."""
    sweeps: int = 100
    """The most sweeps of one planning."""
    rounds: int = 5
    """How often each learner is timed; medians are reported."""
    seed: int = 0
    """Of the walks."""
    smoke: bool = False
    """Two short walks and one round: checks that everything runs."""


def move(rng: np.random.Generator, states: Array, actions: Any) -> tuple[Array, Array, Array]:
    """States, rewards and ends after one step."""
    reached = (states + MOVES[actions] + rng.normal(0, NOISE, states.shape)).clip(0, 1)
    ends = ((reached - GOAL) ** 2).sum(axis=-1) < RADIUS**2
    return reached, np.where(ends, 1.0, -COST), ends


def walk(arguments: Arguments) -> list[tuple[Array, ...]]:
    """Transitions, each of all tasks; after an end a walk goes on anywhere."""
    rng = np.random.default_rng(arguments.seed)
    n = arguments.tasks
    states, actions, steps = rng.random((n, 2)), rng.integers(N_ACTIONS, size=n), []
    for _ in range(arguments.horizon):
        actions = np.where(rng.random(n) < 0.6, actions, rng.integers(N_ACTIONS, size=n))
        reached, rewards, ends = move(rng, states, actions)
        steps.append((states, actions, rewards, reached, ends))
        states = np.where(ends[:, None], rng.random((n, 2)), reached)
    return steps


def optimum(gamma: float, n: int = 41, n_draws: int = 8) -> Callable[[Array], Array]:
    """States (k, 2) -> Q* (k, A), by value iteration on a grid of n x n points."""
    rng = np.random.default_rng(0)
    points = np.stack(np.meshgrid(*[np.linspace(0, 1, n)] * 2, indexing="ij"), axis=-1)
    points = points.reshape(-1, 2)

    def between(table: Array, states: Array) -> Array:  # bilinear interpolation
        place = (states * (n - 1)).clip(0, n - 1 - 1e-9)
        cell = place.astype(int)
        x, y = (place - cell).T
        at = table.reshape(n, n)
        low = at[cell[:, 0], cell[:, 1]] * (1 - y) + at[cell[:, 0], cell[:, 1] + 1] * y
        high = at[cell[:, 0] + 1, cell[:, 1]] * (1 - y) + at[cell[:, 0] + 1, cell[:, 1] + 1] * y
        return low * (1 - x) + high * x

    draws = [[move(rng, points, a) for _ in range(n_draws)] for a in range(N_ACTIONS)]
    V, Q = np.zeros(n * n), np.zeros((n * n, N_ACTIONS))
    for _ in range(150):
        for a, each in enumerate(draws):
            outcomes = [r + gamma * np.where(end, 0, between(V, s)) for s, r, end in each]
            Q[:, a] = np.mean(outcomes, axis=0)
        V = Q.max(axis=1)
    return lambda states: np.stack([between(q, states) for q in Q.T], axis=1)


@dataclasses.dataclass(frozen=True)
class Way:
    """A learner of the table, and how states are shown to it."""

    title: str
    name: str
    options: dict[str, Any]
    key: Callable[[Array], Array] = lambda states: states


def ways(arguments: Arguments) -> list[Way]:
    """The rows of the table; the first is what others are compared with."""
    square = {"scales": (0.29, 0.29)}  # standard deviations of the square
    return [
        Way(
            f"bins {arguments.bins} x {arguments.bins}",
            "model-based",
            {"smoothing": 0.01},
            lambda states: np.floor(states * arguments.bins),
        ),
        Way("kernel, m <= 16", "kernel", square | _covering(0.7, 16)),
        Way("kernel, m <= 64", "kernel", square | _covering(0.3, 64)),
        Way("kernel, m <= 128", "kernel", square | _covering(0.2, 128)),
        Way("kernel, m <= 64, running scales", "kernel", {}),
        Way("linear, coordinates", "linear", {}),
        Way("linear, 16 waves", "linear", {"features": 16, "width": 0.3}),
        Way("linear, 32 waves", "linear", {"features": 32, "width": 0.3}),
        Way(
            "linear, 32 waves, every 5th step",
            "linear",
            {"features": 32, "width": 0.3, "improve_every": 5},
        ),
    ]


def _covering(radius: float, most: int) -> dict[str, Any]:
    return {"radius": radius, "width": 0.5 * radius, "max_representatives": most}


def replay(way: Way, steps: list[tuple[Array, ...]], arguments: Arguments) -> tuple[Any, float]:
    """A learner that has seen all steps, and the microseconds that a step took for a task."""
    options = {"gamma": arguments.gamma, **way.options}
    learner = BUILT_INS[way.name].make(arguments.tasks, N_ACTIONS, arguments.sweeps, options)
    shown = [(way.key(s), a, r, way.key(s_next), end) for s, a, r, s_next, end in steps]
    out = np.zeros((arguments.tasks, 2 * N_ACTIONS + 1), np.float32)
    start = time.process_time()
    for step in shown:
        learner.update(*step)
        learner.write(step[3], Scales(), out)
    spent = time.process_time() - start
    return learner, 1e6 * spent / len(steps) / arguments.tasks


def worth(way: Way, learner: Any, best: Callable[[Array], Array]) -> tuple[float, float]:
    """Mean error of Q and mean regret of the greedy action over random states."""
    rng, errors, regrets = np.random.default_rng(1), [], []
    for _ in range(40):
        states = rng.random((learner.n_tasks, 2))
        Q, Q_best = learner.q_values(way.key(states)), best(states)
        errors.append(np.abs(Q - Q_best).mean())
        greedy = Q_best[np.arange(len(Q)), Q.argmax(axis=1)]
        regrets.append((Q_best.max(axis=1) - greedy).mean())
    return float(np.mean(errors)), float(np.mean(regrets))


def main(arguments: Arguments) -> None:
    """Replay the walks through every learner, in turns."""
    if arguments.smoke:
        arguments = dataclasses.replace(arguments, tasks=2, horizon=25, rounds=1)
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(arguments)
    steps, best, rows = walk(arguments), optimum(arguments.gamma), ways(arguments)
    Q_best = best(np.random.default_rng(1).random((2000, 2)))
    print(f"regret of acting at random: {(Q_best.max(axis=1) - Q_best.mean(axis=1)).mean():.3f}")
    learners = {way.title: replay(way, steps, arguments)[0] for way in rows}  # compiles
    times: dict[str, list[float]] = {way.title: [] for way in rows}
    for _ in range(arguments.rounds):
        for way in rows:
            times[way.title].append(replay(way, steps, arguments)[1])
    print(f"{'':<34}{'us a step':>10}{'range':>18}{'x bins':>8}{'m':>6}{'error':>8}{'regret':>8}")
    reference = times[rows[0].title]
    for way in rows:
        spent, learner = times[way.title], learners[way.title]
        ratio = statistics.median(a / b for a, b in zip(spent, reference, strict=True))
        m = getattr(learner, "n_representatives", getattr(learner, "n_states", None))
        error, regret = worth(way, learner, best)
        print(
            f"{way.title:<34}{statistics.median(spent):>10.1f}"
            f"{f'{min(spent):.1f} - {max(spent):.1f}':>18}{ratio:>8.2f}"
            f"{'' if m is None else f'{m.mean():.0f}':>6}{error:>8.3f}{regret:>8.3f}"
        )


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
