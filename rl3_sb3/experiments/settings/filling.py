"""Fill in the settings of a run that are not given.

The first that has a value decides: what was given for the run; the domain's `prior`, if the
algorithm knows it; the domain's settings for this recipe, then those for all recipes; the
algorithm; the recipe; and the defaults of the policy's class and of the estimator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl3_sb3.experiments.algorithms import Algorithm
from rl3_sb3.experiments.domains import Domain
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.learners import has_axes
from rl3_sb3.experiments.settings.parts import (
    estimator_defaults,
    is_of_another_part,
    policy_defaults,
)
from rl3_sb3.experiments.settings.recipes import (
    DEFAULT_RECIPE,
    STEPS_PER_ITERATION,
    check_recipe,
    settings_of,
)
from rl3_sb3.experiments.settings.setting import full_name

# Fields of `RunConfig` that hold further settings, by the prefix of their names.
TABLES = {"policy.": "policy_arguments", "estimator.": "estimator_options"}

# Arguments of `RunConfig.of` beside the settings.
_BESIDE = ("algo", "horizon", "seed", "size")


def filled_in(
    facts: Domain,
    algorithm: Algorithm,
    horizon: int,
    settings: Mapping[str, Any],
    plain_names: Sequence[str],
) -> dict[str, Any]:
    """Return the fields of a `RunConfig`, without the run's identity.

    Args:
        facts: The domain.
        algorithm: The algorithm's row.
        horizon: Steps of a meta-episode.
        settings: The settings that were given, by full or short names.
        plain_names: Names of the settings that are fields of `RunConfig`.

    Raises:
        InputError: The algorithm needs a prior that the domain does not have, or a setting is
            unknown.
    """
    if algorithm.knows_prior and not facts.prior:
        raise InputError(
            f"`algo` must be other than {algorithm.title} in the domain {facts.title}, which has "
            "no `prior`. Take rl3."
        )
    given = _with_full_keys(settings)
    usual = facts.settings.get("recipe", DEFAULT_RECIPE)
    recipe = check_recipe(given.get("recipe", usual))
    # These apply to all algorithms; each uses the settings that it has.
    suited = replaced(facts.settings, facts.recipes.get(recipe, {}), plain_names)
    if algorithm.estimator is None:
        suited["estimator"] = None
    policy = given.get("policy", suited.get("policy", algorithm.policy))
    knowing = usual_estimator(facts, algorithm)
    estimator = given.get("estimator", suited.get("estimator", knowing))
    if algorithm.knows_prior and estimator != knowing:
        raise InputError(
            f"`estimator` must be {knowing} with {algorithm.title}, got {estimator!r}, which does "
            "not have the domain's prior. Leave it out, or take another algorithm."
        )
    tables: dict[str, dict[str, Any]] = {
        "policy.": dict(policy_defaults(policy)),
        "estimator.": _estimator_options(estimator, facts, algorithm, horizon),
    }
    values: dict[str, Any] = {
        "recipe": recipe,
        "n_envs": max(1, STEPS_PER_ITERATION[recipe] // horizon),
        "value_scale": facts.value_scale,
        "count_scale": facts.count_scale,
        "reward_scale": facts.reward_scale,
        "policy": policy,
        "estimator": estimator,
    }
    known = [*plain_names, *(p + name for p, table in tables.items() for name in table)]
    own = {f"policy.{name}": value for name, value in algorithm.policy_arguments.items()}
    prior = with_dots(facts.prior) if algorithm.knows_prior else {}
    prior.pop("estimator", None)
    usual_settings = settings_of(recipe, lambda: facts.has_tables)
    layers = ((usual_settings, False), (own, False), (suited, False), (prior, False), (given, True))
    for layer, is_given in layers:
        for full, value in _by_full_names(layer, known, is_given).items():
            prefix, dot, short = full.partition(".")
            (tables[prefix + dot] if dot else values)[short if dot else full] = value
    if "symmetry_share" not in given and facts.transformations and estimator is not None:
        # In a turned task such a learner's values are not the turned ones.
        if has_axes(estimator):
            values["symmetry_share"] = 0.0
    return values | {TABLES[prefix]: table for prefix, table in tables.items()}


def usual_estimator(facts: Domain, algorithm: Algorithm) -> str | None:
    """Return the learner of an algorithm in a domain: the algorithm's, or that of the prior."""
    if algorithm.knows_prior and "estimator" in facts.prior:
        return str(facts.prior["estimator"])
    return algorithm.estimator


def with_one_entropy(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Replace version 0.1's `ent_coef` and `final_ent_coef` by one schedule."""
    known = dict(settings)
    if {"ent_coef", "final_ent_coef"} <= known.keys():
        first, last = known["ent_coef"], known.pop("final_ent_coef")
        known["ent_coef"] = first if first == last else f"{first}:{last}"
    return known


def replaced(
    settings: Mapping[str, Any], by: Mapping[str, Any], plain_names: Sequence[str]
) -> dict[str, Any]:
    """Return settings, some of them replaced; full and short names of a setting count as equal.

    Args:
        settings: The settings.
        by: The replacements, which take precedence.
        plain_names: See `filled_in`.
    """
    flat = with_dots(by)

    def is_same(one: str, other: str) -> bool:
        short = one.rpartition(".")[2]
        stands_for_it = ("." in one) != ("." in other) and short not in plain_names
        return one == other or (stands_for_it and short == other.rpartition(".")[2])

    kept = with_dots(settings)
    return {n: v for n, v in kept.items() if not any(is_same(n, each) for each in flat)} | flat


def with_dots(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with TOML's nested tables replaced by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _with_full_keys(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat = with_dots(settings)
    for name in ("policy", "estimator"):
        if not isinstance(flat.get(name), str | None):
            raise InputError(f"`{name}` must be a name, got {flat[name]!r}.")
    return flat


def _by_full_names(
    settings: Mapping[str, Any], known: Sequence[str], is_given: bool
) -> dict[str, Any]:
    """Return settings by their full names.

    Args:
        settings: The settings, by full or short names.
        known: All full names that this run has.
        is_given: Whether these were given for this run. Otherwise, settings of another policy or
            estimator are ignored.
    """
    full: dict[str, Any] = {}
    for name, value in settings.items():
        if not is_given and name not in known and is_of_another_part(name, known):
            continue
        its_name = full_name(name, known, _BESIDE)
        if its_name in full:
            raise InputError(f"`{its_name}` must be given once, got it as {name} too.")
        full[its_name] = value
    return full


def _estimator_options(
    estimator: str | None, facts: Domain, algorithm: Algorithm, horizon: int
) -> dict[str, Any]:
    """Return the estimator's defaults, changed by the domain and the algorithm where it can be."""
    options = estimator_defaults(estimator, task_horizon=facts.task_horizon or horizon)
    suited = {}
    for name, value in facts.estimator_options.items():
        if name in options:
            suited[name] = value
        elif estimator is not None and not is_of_another_part(f"estimator.{name}", ()):
            full_name(f"estimator.{name}", [f"estimator.{known}" for known in options])
    for name in algorithm.estimator_options:
        if name not in options:
            raise InputError(
                f"`estimator` must have the option {name} with {algorithm.title}, got "
                f"{estimator!r}. Choose another algorithm or estimator."
            )
    return {**options, **suited, **algorithm.estimator_options}
