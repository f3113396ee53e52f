"""`Domain`: a task distribution, and what all runs on it have in common.

Tasks are tables, `vamdp.TabularMDP`, or any Gymnasium environments. A table is fully known: its
optimum, which `signal` "regret", `critic_sees` "task" and the oracle need, and its states, which
the classical agents see. An environment can only be stepped.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.recipes import RECIPES
from rl3_sb3.update.transformation import Transformation
from vamdp import StateBins
from vamdp.argument_checks import check_positive_integer
from vamdp.domains import (
    EnvDistribution,
    SampledEnv,
    SampledVectorEnv,
    TaskDistribution,
    TaskEnv,
    TaskVectorEnv,
)

CANONICAL = "canonical"

# The arguments of `Domain` that are mappings, with an example of each.
_MAPPINGS = {
    "horizons": "{None: 100}",
    "variations": '{"far": ...}',
    "arguments": '{"n_arms": 5}',
    "estimator_options": '{"gamma": 0.9}',
    "settings": '{"iterations": 100}',
    "recipes": '{"ours": {"n_epochs": 4}}',
    "baselines": '{"random": {}}',
}


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A task distribution, with the settings that suit it.

    Args:
        title: Name in tables and figures.
        env_id: A Gymnasium id whose vector entry point makes a `vamdp.TaskVectorEnv` or a
            `vamdp.SampledVectorEnv`; None if `tasks` or `environments` is given.
        tasks: A function from a NumPy generator to a `vamdp.TabularMDP`, or None.
        environments: A function from a NumPy generator to a `gymnasium.Env`, or None.
        variations: Shifted task distributions by name: arguments of the environment, or another
            function instead of `tasks` or `environments`.
        arguments: Arguments of the environment in all variations.
        feature_scale: Scale of coordinates, if `tasks` are observed as such, see `vamdp.TaskEnv`.
        horizons: Size of the tasks -> H; the size is None if there is only one.
        task_horizon: Time limit of episodes, and the number of sweeps of value iteration. None: H,
            and no time limit. With `env_id` the environment itself ends episodes: if it has a time
            limit, this must be the same.
        value_scale: Divisor of value estimates in observations.
        reward_scale: Divisor of the previous reward in observations.
        count_scale: Divisor of visit counts in observations.
        estimator_options: Options of the estimator that differ from its defaults. An estimator
            other than the model-based one uses those that it has.
        prior: Settings for algorithms whose learner knows how tasks are distributed, by their names
            in `RunConfig`: what it expects of untried actions, or the `estimator` that knows the
            tasks, and scales that suit its values. Empty: the domain has no such algorithms.
        settings: Other settings of a run that suit the domain, by their names in `RunConfig`,
            including its usual recipe.
        recipes: Name of a recipe -> settings that suit the domain in this recipe.
        exchangeable_actions: Whether, in each variation, a task and the same task with its actions
            renamed are equally likely.
        transformations: A function from the size to a list of `rl3_sb3.Transformation`, under each
            of which, in each variation, tasks stay equally likely; usually with the identity. None:
            none are known.
        state_bins: Bins of real-valued states for learners of tables; None: the default of
            `vamdp.ValueAugment`.
        has_places: Whether states are places with neighbours, which RL3-coarse clusters.
        baselines: Classical agents to compare with: name in `vamdp.baselines.BASELINES` -> options
            that suit the tasks. Those that need tables are left out if the tasks are environments.
        action_names: Name of each action, for films of tasks on a grid; empty: they are numbered.

    Raises:
        ValueError: Not exactly one of `env_id`, `tasks` and `environments` is given, or another
            argument does not fit it.

    Example:
        >>> from vamdp.domains import Bandits
        >>> domain = Domain(title="Two arms", tasks=Bandits(n_arms=2), task_horizon=1)
        >>> domain.make_vector_env(3, None, CANONICAL).single_action_space
        Discrete(2)
    """

    title: str
    env_id: str | None = None
    tasks: TaskDistribution | None = None
    environments: EnvDistribution | None = None
    variations: Mapping[str, Mapping[str, Any] | TaskDistribution | EnvDistribution] = field(
        default_factory=dict
    )
    arguments: Mapping[str, Any] = field(default_factory=dict)
    feature_scale: float | None = None
    horizons: Mapping[int | None, int] = field(default_factory=lambda: {None: 100})
    task_horizon: int | None = None
    value_scale: float = 1.0
    reward_scale: float = 1.0
    count_scale: float = 10.0
    estimator_options: Mapping[str, Any] = field(default_factory=dict)
    prior: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    exchangeable_actions: bool = False
    transformations: Callable[[int | None], Sequence[Transformation]] | None = None
    state_bins: StateBins | None = None
    has_places: bool = False
    baselines: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"random": {}, "certainty-equivalent": {}, "vamdp-bonus": {}}
    )
    action_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check everything that can be checked without a task."""
        sources = {name: getattr(self, name) for name in ("env_id", "tasks", "environments")}
        given = [name for name, source in sources.items() if source is not None]
        if len(given) != 1:
            raise ValueError(
                "A domain must have either `env_id` or `tasks` or `environments`, got "
                f"{' and '.join(given) or 'none of them'}."
            )
        self._check_kinds(given[0])
        if not self.horizons or (self.env_id is None and set(self.horizons) != {None}):
            raise ValueError(
                "`horizons` must be {None: H} for `tasks` and `environments`, which have one size, "
                f"got {dict(self.horizons)!r}."
            )
        if self.environments is not None and (self.feature_scale is not None or self.action_names):
            raise ValueError(
                "`feature_scale` and `action_names` must be left out for `environments`, got "
                f"{self.feature_scale!r} and {self.action_names!r}: they apply to tables, and to "
                "films of grids."
            )
        if self.task_horizon is not None:
            check_positive_integer("task_horizon", self.task_horizon)
        if self.exchangeable_actions and self.transformations is not None:
            raise ValueError(
                "`transformations` must be left out with `exchangeable_actions`, got "
                f"{self.transformations!r}: all permutations of the actions are used then."
            )
        if not callable(self.transformations) and self.transformations is not None:
            raise ValueError(
                "`transformations` must be a function of the size, got "
                f"{self.transformations!r}. Pass lambda size: [...]."
            )
        self._check_settings()
        for name, variation in self.variations.items():
            if not re.fullmatch(r"[\w-]+", name) or name == CANONICAL:
                raise ValueError(
                    "`variations` must have names of letters, digits, _ and -, and not "
                    f"{CANONICAL}, got {name!r}: results are stored under them."
                )
            draws = self.env_id is None
            if not (callable(variation) if draws else isinstance(variation, Mapping)):
                wanted = "a function" if draws else "the environment's arguments"
                raise ValueError(f"`variations[{name!r}]` must be {wanted}, got {variation!r}.")
            if draws:
                _check_draw(f"variations[{name!r}]", variation)

    def _check_kinds(self, source: str) -> None:
        """Raise ValueError for an argument that is not of its kind, which would fail much later."""
        if source != "env_id":
            _check_draw(source, getattr(self, source))
        for name, example in _MAPPINGS.items():
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(
                    f"`{name}` must be a mapping such as {example}, got {getattr(self, name)!r}."
                )
        for size, horizon in self.horizons.items():
            check_positive_integer(f"horizons[{size!r}]", horizon)
        for name in ("recipes", "baselines"):
            for key, each in getattr(self, name).items():
                if not isinstance(each, Mapping):
                    raise ValueError(
                        f"`{name}[{key!r}]` must be a mapping, got {each!r}. Pass {{}} for nothing."
                    )
        if self.state_bins is not None and not isinstance(self.state_bins, StateBins):
            raise ValueError(
                f"`state_bins` must be a vamdp.StateBins, got {self.state_bins!r}. Pass "
                "StateBins(n_bins, low, high)."
            )
        names = self.action_names
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"`action_names` must be a tuple of names, got {names!r}.")

    def _check_settings(self) -> None:
        prior = self.prior
        if (
            not isinstance(prior, Mapping)
            or {"recipe", "policy"} & {*prior}
            or not isinstance(prior.get("estimator", ""), str)
        ):
            raise ValueError(
                "`prior` must be a mapping of settings by dotted names, without recipe and policy, "
                f'got {prior!r}. Pass {{"estimator.prior_mean": ...}}, or {{"estimator": NAME}}.'
            )
        for name in self.recipes:
            if name not in RECIPES:
                raise ValueError(f"`recipes` must be of {', '.join(RECIPES)}, got {name!r}.")
            if "recipe" in self.recipes[name]:
                raise ValueError(
                    f"`recipes` must hold settings of one recipe, got a `recipe` in {name!r}. Set "
                    'the usual one in `settings`: {"recipe": ...}.'
                )

    @property
    def has_symmetry(self) -> bool:
        """Whether runs may learn from relabelled sequences."""
        return self.exchangeable_actions or self.transformations is not None

    def transformations_of(self, size: int | None) -> Sequence[Transformation]:
        """Return the transformations of tasks of a size; none if actions are exchangeable.

        Raises:
            InputError: The domain's function returns anything else than transformations.
        """
        if self.transformations is None:
            return []
        found = self.transformations(size)
        if (
            not isinstance(found, Sequence)
            or not found
            or not all(isinstance(each, Transformation) for each in found)
        ):
            raise InputError(
                "`Domain.transformations` must return a list of rl3_sb3.Transformation, got "
                f"{found!r} for size {size} of {self.title.lower()}. Leave it out if none are "
                "known."
            )
        return found

    @cached_property
    def has_tables(self) -> bool:
        """Whether the tasks are tables, whose optimum is known, and not environments."""
        if self.env_id is None:
            return self.tasks is not None
        try:
            envs = self.make_vector_env(1, next(iter(self.horizons)), CANONICAL)
        except (TypeError, ValueError, gymnasium.error.Error):
            return True  # the error is reported when the environments are made for use
        envs.close()
        return not isinstance(envs.unwrapped, SampledVectorEnv)

    def make_vector_env(
        self, n_envs: int, size: int | None, variation: str
    ) -> VectorEnv[Any, Any, Any]:
        """Make a batch of environments with tasks of this size and variation."""
        if self.environments is not None:
            return SampledVectorEnv(
                self._function(variation), n_envs, max_episode_steps=self.task_horizon
            )
        if self.tasks is not None:
            return TaskVectorEnv(
                self._function(variation),
                n_envs,
                feature_scale=self.feature_scale,
                max_episode_steps=self.task_horizon,
            )
        envs = gymnasium.make_vec(
            self._id,
            num_envs=n_envs,
            vectorization_mode="vector_entry_point",
            **self._env_arguments(size, variation),
        )
        if not isinstance(envs.unwrapped, TaskVectorEnv | SampledVectorEnv):
            raise TypeError(
                "`env_id` must have a vector entry point that makes a vamdp.TaskVectorEnv or a "
                f"vamdp.SampledVectorEnv, got {self.env_id}, which makes a "
                f"{type(envs.unwrapped).__name__}."
            )
        limit = envs.unwrapped.max_episode_steps
        if limit not in (None, self.task_horizon):
            raise ValueError(
                f"`task_horizon` must be the time limit of {self.env_id}, {limit}, got "
                f"{self.task_horizon}. Pass task_horizon={limit}, or the limit you want also as "
                '`arguments`: {"max_episode_steps": ...}.'
            )
        return envs

    def make_env(
        self, size: int | None, variation: str, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Make one environment, equal to the first of a batch."""
        if self.env_id is not None:
            arguments = self._env_arguments(size, variation)
            return gymnasium.make(self.env_id, render_mode=render_mode, **arguments)
        draw = self._function(variation)
        env: gymnasium.Env[Any, Any]
        if self.environments is not None:
            env = SampledEnv(draw)  # the function sets the render mode
        else:
            env = TaskEnv(draw, feature_scale=self.feature_scale, render_mode=render_mode)
        limit = self.task_horizon
        return env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)

    @property
    def _id(self) -> str:
        assert self.env_id is not None, "neither tasks nor environments are given"
        return self.env_id

    def _function(self, variation: str) -> Any:
        usual = self.environments if self.tasks is None else self.tasks
        draw = usual if variation == CANONICAL else self.variations[variation]
        assert callable(draw), "tasks and environments are functions"
        return draw

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


def _check_draw(name: str, draw: Any) -> None:
    """Raise InputError unless this is a function of one argument."""
    wanted = f"`{name}` must be a function of one argument, a NumPy generator, got {draw!r}"
    if not callable(draw):
        raise InputError(f"{wanted}.")
    try:
        inspect.signature(draw).bind(None)
    except ValueError:
        pass  # some compiled functions do not tell their arguments
    except TypeError as error:
        raise InputError(f"{wanted}: {error}. Write def tasks(rng): ...") from None
