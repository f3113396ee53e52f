"""The numbers of the paper (RL3, arXiv 2306.15909), as printed there.

Mean total reward and its standard error over 1000 tasks, of the seed with the median score. The
paper does not say whether actions were sampled or greedy. Results that it shows only in figures are
described in words.
"""

from __future__ import annotations

from collections.abc import Mapping

# Algorithm, H, variation -> mean, standard error.
TABLE_2: Mapping[tuple[str, int, str], tuple[float, float]] = {
    ("rl2", 100, "canonical"): (76.9, 0.6),
    ("rl3", 100, "canonical"): (77.5, 0.5),
    ("rl3-markov", 100, "canonical"): (75.2, 0.5),
    ("rl2", 500, "canonical"): (392.1, 2.5),
    ("rl3", 500, "canonical"): (393.2, 2.7),
    ("rl3-markov", 500, "canonical"): (391.75, 2.6),
    ("rl2", 500, "ood"): (430.2, 2.8),
    ("rl3", 500, "ood"): (434.9, 2.8),
    ("rl3-markov", 500, "ood"): (433.7, 2.8),
}

# Horizons of Figure 3a.
FIGURE_3A_HORIZONS = (128, 256, 512, 1024, 1500, 2048)
FIGURE_3A = (
    "paper: up to H = 500 RL³ and RL² are level in distribution and RL³ is ahead out of it; "
    "beyond, RL³ keeps rising while RL² gets worse, in and out of distribution"
)
FIGURE_3B = (
    "paper: RL³ needs a falling fraction of RL²'s iterations as H grows; 50 % on gridworlds 11x11, "
    "30 % on 13x13"
)
FIGURE_3C = (
    "paper: RL³ clearly ahead of RL² on 11x11, more so on 13x13 and on every variation (80 % more "
    "points on DETERMINISTIC; on WATERY both lose about equally); RL³-coarse level with RL³, "
    "better on CORNER, about 90 % on the canonical 13x13 and on DETERMINISTIC"
)
# Time of a meta-episode on 13x13, relative to RL²'s.
OVERHEAD: Mapping[str, float] = {"rl3": 2.0, "rl3-coarse": 1.1}
