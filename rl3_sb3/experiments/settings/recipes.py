"""The recipes: sets of defaults for the settings of a run.

`paper` reproduces the authors' settings (RL3, arXiv 2306.15909, Appendix C; where the text does not
say, their released code). A recipe consists of plain settings only; `config.json` stores them all.
Differences between domains are in `Domain.recipes`; those for all domains whose tasks are
environments instead of tables are in `WITHOUT_TABLES`.

`ours` is what we found to learn most in minutes to hours on one core, see docs/training.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rl3_sb3.experiments.errors import InputError

PAPER: Mapping[str, Any] = {
    "iterations": 5000,
    "batch_size": 4096,
    "n_epochs": 8,
    "learning_rate": 3e-4,
    "gamma": 0.99,
    "gae_lambda": 0.3,
    "clip_range": 0.2,
    "target_kl": 0.01,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "max_grad_norm": None,
    "normalize_advantage": True,
    "normalize_returns": False,
    "signal": "reward",
    "signal_scale": 1.0,
    "critic_sees": "history",
    "symmetry_share": 0.0,
    "symmetry_coef": 1.0,
    "validate_every": 50,
    "start_from": None,
    "critic_first": 0,
    "policy.critic_weight_decay": 1e-2,
    "policy.adam_eps": 1e-7,
    "policy.positions": "learned",
}

OURS: Mapping[str, Any] = {
    **PAPER,
    "iterations": 600,
    "batch_size": 2048,
    "n_epochs": 4,
    "learning_rate": "1e-3:1e-4",
    "gae_lambda": "0.3:0.7@0.5",
    "ent_coef": "0.1:0",
    "signal": "regret",
    "signal_scale": 0.1,
    "policy.critic_weight_decay": 0.0,
    "policy.adam_eps": 1e-5,
}

RECIPES: Mapping[str, Mapping[str, Any]] = {"paper": PAPER, "ours": OURS}

# Changes of a recipe where the tasks' optimum, and with it the regret, is unknown. Rewards may be
# rare and of any size there: credit must reach far, and the critic must find its own scale.
WITHOUT_TABLES: Mapping[str, Mapping[str, Any]] = {
    "ours": {
        "signal": "reward",
        "signal_scale": 1.0,
        "gae_lambda": 0.95,
        "normalize_returns": True,
    }
}
DEFAULT_RECIPE = "ours"

# Steps of all environments per iteration; divided by H, they give the number of environments.
STEPS_PER_ITERATION: Mapping[str, int] = {"paper": 32768, "ours": 16384}


def settings_of(recipe: str, has_tables: Callable[[], bool]) -> Mapping[str, Any]:
    """Return a recipe's settings.

    Args:
        recipe: Its name.
        has_tables: Returns whether the tasks are tables; called only if the recipe depends on it.
    """
    instead = WITHOUT_TABLES.get(recipe)
    if instead is None or has_tables():
        return RECIPES[recipe]
    return {**RECIPES[recipe], **instead}


def check_recipe(name: Any) -> str:
    """Return the name of a recipe.

    Raises:
        InputError: There is no recipe of this name.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise InputError(f"`recipe` must be one of {', '.join(RECIPES)}, got {name!r}.")
    return name
