"""Permutation tests of whether outcomes depend on labels.

A stratum is one action in one state. The statistic measures how much of the outcomes the labels
explain,

    sum over (stratum, label) of n |mean of the outcomes|^2,

where an outcome is a one-hot vector (what is seen next) or a number (the reward). It is compared
with its values under shuffled labels. If the visits of a stratum are independent, labels are
shuffled among visits. If visits of an episode depend on each other, because something is hidden,
labels are shuffled among whole episodes. (Good, Permutation, Parametric and Bootstrap Tests of
Hypotheses, 2005.)
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_N_SHUFFLES = 200
#: Standard deviations above the shuffled mean. 200 shuffles alone would be wrong once in 200 times.
_FAR = 4.0


class Outcomes:
    """Outcomes by stratum, to be tested against labels.

    Args:
        strata: Stratum of each outcome, shape (n,).
        kinds: Number of what was seen next, shape (n,).
        rewards: Reward, shape (n,).
        seed: Seed of the shuffles.
    """

    def __init__(self, strata: Ints, kinds: Ints, rewards: Floats, seed: int) -> None:
        self._strata, self._kinds = strata, kinds
        self._rewards = _standardised(strata, rewards)
        self._seed = seed

    def differ_by_visit(self, labels: Ints) -> bool:
        """Return whether outcomes depend on the labels (n,), if visits are independent."""
        return self._differ(labels, self._shuffled_visits(labels))

    def differ_by_episode(self, episodes: Ints, label_of_episode: Ints) -> bool:
        """Return whether outcomes depend on the episodes' labels; visits may be dependent.

        Args:
            episodes: Episode of each outcome, shape (n,).
            label_of_episode: Label of each episode, shape (n_episodes,).
        """
        rng = np.random.default_rng(self._seed)
        shuffled = (rng.permutation(label_of_episode)[episodes] for _ in range(_N_SHUFFLES))
        return self._differ(label_of_episode[episodes], shuffled)

    def _shuffled_visits(self, labels: Ints) -> Iterator[Ints]:
        rng = np.random.default_rng(self._seed)
        place = np.argsort(self._strata, kind="stable")
        sorted_strata = self._strata[place]
        for _ in range(_N_SHUFFLES):
            shuffled = np.empty_like(labels)
            # Sorting by (stratum, noise) keeps the strata together, in random order within each.
            order = np.lexsort((rng.random(labels.size), sorted_strata))
            shuffled[place] = labels[place][order]
            yield shuffled

    def _differ(self, labels: Ints, shuffles: Iterator[Ints]) -> bool:
        found = self._explained(labels)
        others = np.array([self._explained(shuffled) for shuffled in shuffles])
        far = found > others.mean(axis=0) + _FAR * others.std(axis=0) + 1e-9 * np.abs(found)
        return bool((far & (found > others.max(axis=0))).any())

    def _explained(self, labels: Ints) -> Floats:
        """Return the statistic of what is seen and that of the rewards, shape (2,)."""
        groups = numbered(self._strata, labels)
        sizes = np.bincount(groups)
        cells = numbered(groups, self._kinds)
        group_of_cell = np.zeros(int(cells.max()) + 1, np.int64)
        group_of_cell[cells] = groups
        seen = (np.bincount(cells) ** 2 / sizes[group_of_cell]).sum()
        paid = (np.bincount(groups, self._rewards) ** 2 / sizes).sum()
        return np.array([seen, paid])


def numbered(first: Ints, second: Ints) -> Ints:
    """Return a number for each pair, counted from 0."""
    pairs = first * (int(second.max()) + 1) + second
    return np.asarray(np.unique(pairs, return_inverse=True)[1], np.int64)


def _standardised(strata: Ints, rewards: Floats) -> Floats:
    """Return rewards minus their stratum's mean, divided by the deviation over all strata."""
    means = np.bincount(strata, rewards) / np.maximum(np.bincount(strata), 1)
    deviations = rewards - means[strata]
    spread = float(np.sqrt(np.mean(deviations**2)))
    return deviations / spread if spread > 0.0 else np.zeros_like(rewards)
