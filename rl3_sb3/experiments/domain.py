"""What a domain is: one task distribution, and what is the same in every run on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.recipes import RECIPES
from vamdp.domains import TaskDistribution, TaskEnv, TaskVectorEnv

CANONICAL = "canonical"


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One task distribution, with the settings that suit it.

    Args:
        title: Its name in tables and figures.
        env_id: A Gymnasium id whose vector entry point makes a `vamdp.TaskVectorEnv`, or None where
            `tasks` is given.
        tasks: A function from a NumPy generator to a `vamdp.TabularMDP`, or None where `env_id` is.
        variations: The shifted distributions, by name: arguments of the environment, or another
            function in the place of `tasks`.
        arguments: The environment's arguments, whatever the variation.
        feature_scale: Of `tasks` whose states are shown as coordinates, see `vamdp.TaskEnv`.
        horizons: H by size of the tasks; where they have but one size, it is None.
        task_horizon: Longest episode, which is cut there; also the sweeps of value iteration.
            None: H, and nothing is cut.
        value_scale: Divides Q-estimates in observations.
        reward_scale: Divides the previous reward in observations.
        count_scale: Divides visit counts in observations.
        estimator_options: Of the estimator, where they differ from its defaults. Another estimator
            than the model-based takes those that it knows.
        settings: Other settings of a run that suit the domain, by their names in `RunConfig`. Its
            usual recipe is one.
        recipes: Those that suit it in one recipe, by the recipe's name.
        exchangeable_actions: Whether, in each variation, a task and the same task with its actions
            renamed are equally likely.
        has_places: Whether states are places with neighbours, which RL3-coarse puts together.
        baselines: The classical agents that its tasks are compared with, by their names in
            `vamdp.baselines.BASELINES`, each with the options that suit the tasks.
        action_names: One per action, where the tasks have pictures; none: there is nothing to film.

    Raises:
        ValueError: Not exactly one of `env_id` and `tasks` is given, or something else does not fit
            it.

    Example:
        >>> from vamdp.domains import Bandits
        >>> domain = Domain(title="Two arms", tasks=Bandits(n_arms=2), task_horizon=1)
        >>> domain.make_vector_env(3, None, CANONICAL).single_action_space
        Discrete(2)
    """

    title: str
    env_id: str | None = None
    tasks: TaskDistribution | None = None
    variations: Mapping[str, Mapping[str, Any] | TaskDistribution] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    feature_scale: float | None = None
    horizons: Mapping[int | None, int] = field(default_factory=lambda: {None: 100})
    task_horizon: int | None = None
    value_scale: float = 1.0
    reward_scale: float = 1.0
    count_scale: float = 10.0
    estimator_options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    exchangeable_actions: bool = False
    has_places: bool = False
    baselines: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"random": {}, "certainty-equivalent": {}, "vamdp-bonus": {}}
    )
    action_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what can be checked without a task."""
        if (self.env_id is None) == (self.tasks is None):
            raise ValueError(
                f"A domain must have either `env_id` or `tasks`, got {self.env_id!r} and "
                f"{self.tasks!r}."
            )
        if not self.horizons or (self.tasks is not None and set(self.horizons) != {None}):
            raise ValueError(
                f"`horizons` must be {{None: H}} for `tasks`, which have one size, got "
                f"{dict(self.horizons)!r}."
            )
        if self.task_horizon is not None and not self.task_horizon >= 1:
            raise ValueError(f"`task_horizon` must be at least 1, got {self.task_horizon!r}.")
        for name in self.recipes:
            if name not in RECIPES:
                raise ValueError(f"`recipes` must be of {', '.join(RECIPES)}, got {name!r}.")
            if "recipe" in self.recipes[name]:
                raise ValueError(
                    f"`recipes` must hold settings of one recipe, got a `recipe` in {name!r}. Say "
                    'in `settings` which is the usual one: {"recipe": ...}.'
                )
        for name, variation in self.variations.items():
            if not re.fullmatch(r"[\w-]+", name) or name == CANONICAL:
                raise ValueError(
                    "`variations` must have names of letters, digits, _ and -, and not "
                    f"{CANONICAL}, got {name!r}: results are stored under them."
                )
            if callable(variation) != (self.tasks is not None):
                wanted = "the environment's arguments" if self.tasks is None else "a function"
                raise ValueError(f"`variations[{name!r}]` must be {wanted}, got {variation!r}.")

    def make_vector_env(
        self, n_envs: int, size: int | None, variation: str
    ) -> VectorEnv[Any, Any, Any]:
        """Make a batch of environments with tasks of this size and variation."""
        if self.env_id is None:
            return TaskVectorEnv(
                self._tasks(variation),
                n_envs,
                feature_scale=self.feature_scale,
                max_episode_steps=self.task_horizon,
            )
        envs = gymnasium.make_vec(
            self.env_id,
            num_envs=n_envs,
            vectorization_mode="vector_entry_point",
            **self._env_arguments(size, variation),
        )
        if not isinstance(envs.unwrapped, TaskVectorEnv):
            raise TypeError(
                f"`env_id` must have a vector entry point that makes a vamdp.TaskVectorEnv, got "
                f"{self.env_id}, which makes a {type(envs.unwrapped).__name__}."
            )
        return envs

    def make_env(
        self, size: int | None, variation: str, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Make one environment that equals the first of a batch."""
        if self.env_id is None:
            env = TaskEnv(
                self._tasks(variation), feature_scale=self.feature_scale, render_mode=render_mode
            )
            limit = self.task_horizon
            return env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)
        arguments = self._env_arguments(size, variation)
        return gymnasium.make(self.env_id, render_mode=render_mode, **arguments)

    def _tasks(self, variation: str) -> TaskDistribution:
        tasks = self.tasks if variation == CANONICAL else self.variations[variation]
        assert callable(tasks), "a domain's tasks are functions"
        return tasks

    def _env_arguments(self, size: int | None, variation: str) -> dict[str, Any]:
        arguments = dict(self.arguments)
        if size is not None:
            arguments["size"] = size
        if variation != CANONICAL:
            shifted = self.variations[variation]
            assert not callable(shifted), "an environment's variations are arguments"
            arguments |= shifted
        return arguments

    def check_variation(self, name: str) -> None:
        """Raise InputError unless there is a variation of this name."""
        if name != CANONICAL and name not in self.variations:
            known = ", ".join([CANONICAL, *self.variations])
            raise InputError(f"`variation` must be one of {known}, got {name!r}.")

    def check_size(self, size: int | None) -> None:
        """Raise InputError unless there are tasks of this size."""
        if not isinstance(size, int | None) or size not in self.horizons:
            known = " or ".join("left out" if n is None else str(n) for n in self.horizons)
            raise InputError(f"`size` must be {known} in {self.title.lower()}, got {size!r}.")
