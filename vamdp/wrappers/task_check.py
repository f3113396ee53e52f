"""Test whether an environment is a task distribution, by playing it and comparing the outcomes.

RL2 and RL3 need tasks that last: the same layout in all episodes of a meta-episode, and another one
in the next. An environment that draws its layout at every reset has no such tasks. Nothing raises
an error then; the agent just learns that there is nothing to learn. `check_tasks` therefore plays
the environment and compares the outcomes of the same action in the same state:

    1. If they differ more between tasks than between episodes of a task, the tasks last.
    2. If not, and they differ between the episodes of a task, something is redrawn at every reset.
    3. Otherwise there is only one task.

Both comparisons are permutation tests, see `label_test`, because dynamics may be random.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_positive_integer
from vamdp.estimators.arguments import check_action_mask
from vamdp.inner_env import StateKey, find_method_owner, layers, require_single, single_space
from vamdp.wrappers.label_test import Outcomes, numbered
from vamdp.wrappers.task_access import TaskAccess

Kind = Literal["distribution", "single", "seeded", "redrawn", "unknown"]

_SENTENCES: dict[Kind, str] = {
    "distribution": "A task distribution: tasks last over their episodes, and differ.",
    "single": "One task, as far as random actions show: neither tasks nor episodes differ. If your "
    "tasks should differ, either random actions rarely meet the difference (pass more n_steps), or "
    "every reset draws a new layout (check vamdp.HoldSeed(env) instead).",
    "seeded": "Not a task distribution yet: the task changes only with reset(seed=...), so that "
    "all meta-episodes after the first would have the same one. Wrap the environment in "
    'vamdp.HoldSeed, or let reset(options={"new_task": True}) draw a task.',
    "redrawn": "Not a task distribution: something that matters is redrawn at every reset, so that "
    "what is learned in one episode does not hold in the next. If it is drawn from the seed, wrap "
    "the environment in vamdp.HoldSeed; else pass a function that draws environments to "
    "vamdp.SampledEnv. (If observations only hide something, pass a `state_key` that shows it.)",
    "unknown": "Unknown: almost no state of one episode occurred in another. Pass a `state_key` "
    "that leaves out what does not matter, or more episodes. If the layout is redrawn at every "
    "reset, wrap the environment in vamdp.HoldSeed.",
}
_UNSEEDED = (
    " It does not follow its seeds: reset(seed=...) and the same actions gave a different result "
    "the second time. Draw all random numbers from self.np_random."
)
_KEPT = (
    " The task does not change with reset(seed=...): the one that was there before goes on, and "
    "the seed does not determine it. Draw the task from self.np_random whenever a seed is given."
)
_RESET = "reset"  # the stratum of resets; their outcome is the start state
#: With fewer comparable visits, the answer is "unknown".
_FEWEST = 20


@dataclass(frozen=True)
class TaskCheck:
    """The result of `check_tasks`. Printed, it is a sentence that says what to do.

    Attributes:
        kind: "distribution": tasks last. "single": there is one task. "seeded": tasks change only
            with a seed. "redrawn": the task changes at every reset. "unknown": states do not recur.
        follows_seeds: Whether the same seed and actions gave the same result twice, although
            another task was there in between.
        n_steps: Number of steps played.
        keeps_task: Whether it does not follow its seeds because reset(seed=...) keeps the task.
    """

    kind: Kind
    follows_seeds: bool
    n_steps: int
    keeps_task: bool = False

    @property
    def is_distribution(self) -> bool:
        """Whether the environment can be wrapped as it is."""
        return self.kind == "distribution" and self.follows_seeds

    def __str__(self) -> str:
        fault = _KEPT if self.keeps_task else _UNSEEDED
        return _SENTENCES[self.kind] + ("" if self.follows_seeds else fault)


def check_tasks(
    env: gymnasium.Env[Any, Any],
    *,
    state_key: StateKey | None = None,
    n_tasks: int = 10,
    n_episodes: int = 10,
    n_steps: int = 1000,
    seed: int = 0,
) -> TaskCheck:
    """Play an environment with random actions, and return whether it is a task distribution.

    As in `MetaEpisode`, ``reset(options={"new_task": True})`` or the environment's task methods
    begin a task, and a bare ``reset()`` the next episode in it. ``reset(seed=...)`` must begin a
    task that depends on the seed alone. Random actions miss rare events, such as a goal far away;
    more steps find more. Reset the environment before you use it afterwards.

    Args:
        env: The environment to wrap, without `ValueAugment` and `MetaEpisode`.
        state_key: As in `ValueAugment`. None: the environment's own, else the whole observation.
        n_tasks: Number of tasks to play, at least 2.
        n_episodes: Least number of episodes per task, at least 2. If they are short, more are
            played until `n_steps` is reached.
        n_steps: Least number of steps per task, at least `n_episodes`. An episode is stopped after
            n_steps / n_episodes.
        seed: Seed of the environment and of the actions.

    Returns:
        The result; ``print`` it.

    Raises:
        TypeError: `env` is a vector environment.
        ValueError: `env` contains a `ValueAugment` or `MetaEpisode`, `state_key` is not a function,
            a number is too small, or the environment gives a reward that is not finite or a mask
            that allows no action.

    Example:
        >>> print(check_tasks(gymnasium.make("vamdp/Bandit-v0")))
        A task distribution: tasks last over their episodes, and differ.
        >>> check_tasks(gymnasium.make("FrozenLake-v1")).kind
        'single'
    """
    require_single(env, None)
    for name, value, least in (
        ("n_tasks", n_tasks, 2),
        ("n_episodes", n_episodes, 2),
        ("n_steps", n_steps, n_episodes),
    ):
        check_positive_integer(name, value)
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value}: too few to compare.")
    for layer in layers(env):
        if {c.__name__ for c in type(layer).__mro__} & {"ValueAugment", "MetaEpisode"}:
            raise ValueError(
                f"`env` must have no {type(layer).__name__} inside, got {env}. Check the "
                "environment inside it."
            )
    if state_key is None:
        owner = find_method_owner(env, "state_key")
        is_its_own = owner is not None and single_space(owner) == env.observation_space
        state_key = owner.state_key if is_its_own else None
    elif not callable(state_key):
        raise ValueError(f"`state_key` must be callable, got {state_key!r}.")
    play = _Play(env, state_key, n_episodes, n_steps, seed)
    seeds = range(seed, seed + n_tasks)
    first = [play.stream(s) for s in seeds]
    follows_seeds = first == [play.stream(s, after_another_task=True) for s in seeds]
    # Without another task in between, what keeps its task gives the same result twice.
    keeps_task = not follows_seeds and (
        [play.stream(s) for s in seeds] == [play.stream(s) for s in seeds]
    )
    for _ in range(n_tasks):
        play.task(options={"new_task": True})
    kind = play.kind()
    n_played = play.n_steps_played
    if kind == "single":
        by_seeds = _Play(env, state_key, n_episodes, n_steps, seed)
        for i in range(n_tasks):
            by_seeds.task(seed=seed + i)
        n_played += by_seeds.n_steps_played
        if by_seeds.kind() == "distribution":
            kind = "seeded"
    return TaskCheck(kind, follows_seeds, n_played, keeps_task)


class _Tasks(TaskAccess):
    """Resets an environment as the wrappers do, which may draw tasks with methods of its own."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.env = env

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode; return its first observation and info."""
        return self.env.reset(seed=seed, options=self._with_task_set(options))

    def _task_changed(self) -> None:
        """Do nothing: nothing is learned here."""


class _Play:
    """Plays episodes, and records the outcome of each action."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        state_key: StateKey | None,
        n_episodes: int,
        n_steps: int,
        seed: int,
    ) -> None:
        self._tasks, self._env, self._key, self._seed = _Tasks(env), env, state_key, seed
        self._n_episodes, self._n_steps = n_episodes, n_steps
        self._actions = env.action_space
        self._seed_actions(seed)
        self._numbers: dict[Hashable, int] = {}
        # Rows (stratum, episode, outcome, reward).
        self._rows: list[tuple[int, int, int, float]] = []
        self._task_of_episode: list[int] = []
        self._n_tasks = 0
        self.n_steps_played = 0

    def stream(self, seed: int, after_another_task: bool = False) -> list[Any]:
        """Return what an episode with this seed for environment and actions shows."""
        if after_another_task:
            self._tasks.reset(options={"new_task": True})
        self._seed_actions(seed)
        return self._episode(seed=seed)

    def _seed_actions(self, seed: int) -> None:
        # Not with the seed itself: the actions would be the environment's own random numbers.
        (own,) = np.random.SeedSequence([seed, 1]).generate_state(1)
        self._actions.seed(int(own))

    def task(self, **begin: Any) -> None:
        """Play a task that starts with this reset."""
        n_left, n_steps_left = self._n_episodes, self._n_steps
        while n_left > 0 or n_steps_left > 0:
            rows = self._episode(**begin)
            episode = len(self._task_of_episode)
            for before, seen, reward in rows:
                self._rows.append((self._number(before), episode, self._number(seen), reward))
            self._task_of_episode.append(self._n_tasks)
            n_left -= 1
            n_steps_left -= max(len(rows) - 1, 1)
            begin = {}
        self._n_tasks += 1

    def kind(self) -> Kind:
        """Return the kind of the tasks played so far."""
        strata, episodes, seen = np.array([row[:3] for row in self._rows], np.int64).T
        rewards = np.array([row[3] for row in self._rows])
        task_of_episode = np.array(self._task_of_episode, np.int64)
        outcomes = Outcomes(strata, seen, rewards, self._seed)
        if outcomes.differ_by_episode(episodes, task_of_episode):
            return "distribution"
        of_steps = strata != self._number(_RESET)
        if _n_comparable(strata[of_steps], episodes[of_steps]) < _FEWEST:
            return "unknown"
        within_tasks = numbered(strata, task_of_episode[episodes])
        outcomes = Outcomes(within_tasks, seen, rewards, self._seed)
        return "redrawn" if outcomes.differ_by_visit(episodes) else "single"

    def _episode(self, **begin: Any) -> list[tuple[Hashable, Hashable, float]]:
        """Play an episode; return (state and action, outcome, reward) of each step."""
        observation, info = self._tasks.reset(**begin)
        state = self._state(observation)
        rows: list[tuple[Hashable, Hashable, float]] = [(_RESET, state, 0.0)]
        for _ in range(self._n_steps // self._n_episodes):
            mask = info.get("action_mask")
            if mask is not None:
                check_action_mask("action_mask", mask, np.size(mask), required=True)
            action = self._actions.sample(*(() if mask is None else (np.asarray(mask, np.int8),)))
            observation, reward, terminated, truncated, info = self._env.step(action)
            if not np.isfinite(float(reward)):
                raise ValueError(
                    f"`reward` must be finite, got {reward} for the action {action} in step "
                    f"{len(rows)} of an episode. Mend the environment's step."
                )
            before = state, _hashable(action)
            state = self._state(observation)
            rows.append((before, (state, bool(terminated)), float(reward)))
            self.n_steps_played += 1
            if terminated or truncated:
                break
        return rows

    def _state(self, observation: Any) -> Hashable:
        return _hashable(observation if self._key is None else self._key(observation))

    def _number(self, thing: Hashable) -> int:
        return self._numbers.setdefault(thing, len(self._numbers))


def _n_comparable(strata: npt.NDArray[np.int64], episodes: npt.NDArray[np.int64]) -> int:
    """Return the number of visits outside the first episode of their stratum."""
    _, first, number = np.unique(strata, return_index=True, return_inverse=True)
    return int((episodes != episodes[first][number]).sum())


def _hashable(thing: Any) -> Hashable:
    """Return an observation, key or action as a hashable object."""
    if isinstance(thing, np.ndarray):
        return thing.shape, thing.tobytes()
    if isinstance(thing, dict):
        return tuple((name, _hashable(part)) for name, part in sorted(thing.items()))
    if isinstance(thing, list | tuple):
        return tuple(_hashable(part) for part in thing)
    return thing.item() if isinstance(thing, np.generic) else thing  # type: ignore[no-any-return]
