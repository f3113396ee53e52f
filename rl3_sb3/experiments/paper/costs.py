"""Estimate the cost of training from the settings: a rough number of hours on one CPU core.

Seconds per million steps were measured on one core of an AMD EPYC whose other core was busy too:
145 with the recipe `ours` and 280 with `paper` (8 epochs instead of 4) on bandits of H = 100, a
tenth of that without a memory. On an idle machine they were 85 and 147. Attention covers the whole
meta-episode, so they grow with H: by a factor of 1.5 at 350 and 1.7 at 500 (see docs/speed.md); the
same line is used beyond.
"""

from __future__ import annotations

from collections.abc import Sequence

from rl3_sb3.experiments.settings.run_config import RunConfig

# Seconds per million steps and epoch at H = 100, and the seconds that do not depend on epochs.
_SECONDS_PER_EPOCH, _OTHER_SECONDS = 34.0, 10.0
_WITHOUT_MEMORY = 0.1
_GROWTH = 0.7 / 400  # per step of H beyond 100


def core_hours(config: RunConfig) -> float:
    """Return the approximate number of hours that a run takes on one core."""
    at_100 = _OTHER_SECONDS + _SECONDS_PER_EPOCH * config.n_epochs
    growth = max(0.5, 1 + _GROWTH * (config.horizon - 100))
    if config.policy == "MarkovPolicy":
        growth = _WITHOUT_MEMORY
    return at_100 * growth * config.total_steps / 1e6 / 3600


def cost_text(configs: Sequence[RunConfig]) -> str:
    """Return the total cost of runs in words.

    Example:
        >>> cost_text([RunConfig.of("bandit", recipe="paper", seed=seed) for seed in (0, 1)])
        '2 runs, 327 million steps, about 26 core-hours'
    """
    steps = sum(config.total_steps for config in configs) / 1e6
    hours = sum(core_hours(config) for config in configs)
    return f"{len(configs)} runs, {steps:,.0f} million steps, about {hours:,.0f} core-hours"
