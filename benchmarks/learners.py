"""What each learner costs per environment step, beside the model-based one.

A random agent lives through meta-episodes of random MDPs and of gridworlds. What the wrapper around
its environments asks of a learner is recorded: transitions, looks, where tasks and episodes begin.
Then every learner is asked the same, in turns:

batch       of `n_envs` tasks, as vamdp.vector.ValueAugment asks; microseconds per step and task
single      one task at a time, as vamdp.ValueAugment asks: the model-based learner in one compiled
            call a step, the others call by call

The ratio is to the model-based learner of the same round; medians and ranges over the rounds.
Posterior sampling works when an episode begins: the longer episodes are, the less a step costs.

Run: OMP_NUM_THREADS=1 python benchmarks/learners.py
     OMP_NUM_THREADS=1 python benchmarks/learners.py --smoke      (checks that everything runs)
"""

import dataclasses
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from command_line import parse

import vamdp
from vamdp.estimators import BUILT_INS, Scales
from vamdp.estimators.q_parts import q_parts
from vamdp.wrappers.one_task import OneTask

#: name -> learner and its options, where they differ from the domain's; the first is compared with.
LEARNERS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "model-based": ("model-based", {}),
    "model-based, bonus 1": ("model-based", {"bonus": 1.0}),
    "q-learning": ("q-learning", {}),
    "q-learning, 10 replayed": ("q-learning", {"n_replayed": 10}),
    "dyna-q, 10 planned": ("dyna-q", {"n_planned": 10}),
    "posterior-sampling, 5": ("posterior-sampling", {"n_samples": 5}),
}


class Setting(NamedTuple):
    """A domain with the experiments' settings."""

    env_id: str
    arguments: Mapping[str, Any]
    horizon: int
    task_horizon: int
    options: Mapping[str, Any]


SETTINGS = {
    "random MDPs": Setting("vamdp/RandomMDP-v0", {}, 100, 10, {}),
    "gridworlds 11x11": Setting(
        "vamdp/GridWorld-v0", {"size": 11}, 250, 250, {"gamma": 0.95, "smoothing": 0.01}
    ),
}


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    n_envs: int = 32
    """Tasks of a batch."""
    n_single: int = 8
    """Tasks lived through one at a time."""
    rounds: int = 5
    """How often everything is measured; medians and ranges are reported."""
    seed: int = 0
    """Of everything random."""
    smoke: bool = False
    """Tiny sizes: checks that everything runs."""


class Recorder:
    """An `Estimator` that learns nothing and notes what it is asked."""

    def __init__(self, n_tasks: int, n_actions: int) -> None:
        self.n_tasks, self.n_actions = n_tasks, n_actions
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def parts(self) -> dict[str, gymnasium.spaces.Box]:
        """Those of Q-estimates."""
        return q_parts(self.n_actions)

    def _note(self, name: str, *arguments: Any) -> None:
        copies = (a.copy() if isinstance(a, np.ndarray) else a for a in arguments)
        self.calls.append((name, tuple(copies)))

    def begin_tasks(self, rows: Any, seeds: Any) -> None:
        """Note it."""
        self._note("begin_tasks", rows, list(seeds))

    def begin_episodes(self, rows: Any, states: Any, action_masks: Any) -> None:
        """Note it."""
        self._note("begin_episodes", rows, states, action_masks)

    def update(
        self,
        states: Any,
        actions: Any,
        rewards: Any,
        next_states: Any,
        ends: Any,
        masks: Any = None,
    ) -> None:
        """Note it."""
        self._note("update", states, actions, rewards, next_states, ends, masks)

    def write(self, states: Any, scales: Scales, out: Any) -> None:
        """Note it; show zeros."""
        self._note("write", states, scales)


def record(setting: Setting, n_envs: int, horizon: int, seed: int) -> Recorder:
    """What a learner is asked in one meta-episode of each environment, under random actions."""
    envs: Any = gymnasium.make_vec(
        setting.env_id, num_envs=n_envs, vectorization_mode="vector_entry_point",
        **setting.arguments,
    )  # fmt: skip
    env = vamdp.vector.ValueAugment(envs, task_horizon=setting.task_horizon, estimator=Recorder)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(horizon):
        env.step(rng.integers(env.single_action_space.n, size=n_envs))
    recorder: Recorder = env.estimator
    return recorder


def make(name: str, setting: Setting, n_tasks: int, n_actions: int) -> Any:
    """A learner with those of the setting's options that it has."""
    learner, own = LEARNERS[name]
    known = {field.name for field in dataclasses.fields(BUILT_INS[learner].options)}
    options = {k: v for k, v in setting.options.items() if k in known}
    return BUILT_INS[learner].make(n_tasks, n_actions, setting.task_horizon, {**options, **own})


def in_batch(name: str, setting: Setting, record: Recorder) -> Callable[[], None]:
    """What asks a learner all that was recorded."""
    learner = make(name, setting, record.n_tasks, record.n_actions)
    size = sum(box.shape[0] for box in learner.parts().values())
    out = np.zeros((record.n_tasks, size), np.float32)

    def replay() -> None:
        for method, arguments in record.calls:
            if method == "write":
                learner.write(*arguments, out)
            else:
                getattr(learner, method)(*arguments)

    return replay


def one_by_one(name: str, setting: Setting, records: list[Recorder]) -> Callable[[], None]:
    """What asks a learner of one task all that was recorded, as `vamdp.ValueAugment` does."""
    learner = make(name, setting, 1, records[0].n_actions)
    size = sum(box.shape[0] for box in learner.parts().values())
    scales, vector = Scales(), np.zeros(size, np.float32)
    if hasattr(learner, "fast_step"):
        stepping = learner.fast_step(scales, 0)
    else:
        stepping = OneTask(learner, scales, slice(0, size), "state")
    tasks = [[plain(call) for call in record.calls] for record in records]

    def replay() -> None:
        for task in tasks:
            for method, arguments in task:
                if method == "begin_tasks":
                    learner.begin_tasks(np.ones(1, np.bool_), arguments)
                elif method == "begin_episodes":
                    stepping.begin(arguments, None)
                    stepping.show(vector)
                elif method == "update":
                    stepping.step(*arguments, None, vector)

    return replay


def key(states: npt.NDArray[np.float64]) -> int | tuple[int, ...]:
    """The state of a batch of one as an environment's `state_key` gives it."""
    numbers = tuple(int(x) for x in states[0])
    return numbers if len(numbers) > 1 else numbers[0]


def plain(call: tuple[str, tuple[Any, ...]]) -> tuple[str, Any]:
    """A call to a batch of one as plain numbers: seeds, the state, or a transition without it."""
    method, arguments = call
    if method == "begin_tasks":
        return method, arguments[1]
    if method == "begin_episodes":
        return method, key(arguments[1])
    if method == "update":
        _, actions, rewards, next_states, ends, _ = arguments
        return method, (int(actions[0]), float(rewards[0]), key(next_states), bool(ends[0]))
    return method, None


def in_turns(replays: Mapping[str, Callable[[], None]], rounds: int, steps: int) -> None:
    """Print microseconds a step and the ratio to the first, measured in turns, in CPU time."""
    times: dict[str, list[float]] = {name: [] for name in replays}
    for replay in replays.values():  # compiles, and grows the room
        replay()
    for _ in range(rounds):
        for name, replay in replays.items():
            start = time.process_time()
            replay()
            times[name].append(1e6 * (time.process_time() - start) / steps)
    base = next(iter(times.values()))
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, base, strict=True)]
        print(
            f"    {name:<26}{statistics.median(values):8.2f} microseconds a step   "
            f"{statistics.median(ratios):6.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
        )


def main(args: Arguments) -> None:
    """Measure and report."""
    if args.smoke:
        args = dataclasses.replace(args, n_envs=2, n_single=1, rounds=1)
    print(f"{platform.platform()}, vamdp {vamdp.__version__}\n{args}\n")
    for title, setting in SETTINGS.items():
        horizon = 20 if args.smoke else setting.horizon
        together = record(setting, args.n_envs, horizon, args.seed)
        alone = [record(setting, 1, horizon, args.seed + i) for i in range(args.n_single)]
        print(f"{title}, H = {horizon}")
        print(f"  batch of {args.n_envs}")
        replays = {name: in_batch(name, setting, together) for name in LEARNERS}
        in_turns(replays, args.rounds, args.n_envs * horizon)
        print("  single")
        replays = {name: one_by_one(name, setting, alone) for name in LEARNERS}
        in_turns(replays, args.rounds, args.n_single * horizon)
        print()


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
