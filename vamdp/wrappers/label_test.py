"""Whether outcomes go with labels: permutation tests.

The statistic is what the labels explain of the outcomes of each stratum (one action in one state),

    sum over (stratum, label) of n |mean of the outcomes|^2,

outcomes being one-hot for what is seen next, and numbers for rewards. It is compared with those of
shuffled labels, in two ways. Where visits of a stratum are independent, labels are shuffled among
the visits. Where they hang together within an episode, because something is hidden, whole episodes
change their labels. (Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005.)
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_N_SHUFFLES = 200
#: Standard deviations above the shuffled mean. The shuffles alone would err once in 200 times.
_FAR = 4.0


class Outcomes:
    """Outcomes of strata, to be asked about labels.

    Args:
        strata: Of each outcome, shape (n,).
        kinds: Numbers of what is seen, likewise.
        rewards: Likewise.
        seed: Of the shuffles.
    """

    def __init__(self, strata: Ints, kinds: Ints, rewards: Floats, seed: int) -> None:
        self._strata, self._kinds = strata, kinds
        self._rewards = _standardised(strata, rewards)
        self._seed = seed

    def differ_by_visit(self, labels: Ints) -> bool:
        """Return whether what is seen or paid depends on the label (n,), visits independent."""
        return self._differ(labels, self._shuffled_visits(labels))

    def differ_by_episode(self, episodes: Ints, label_of_episode: Ints) -> bool:
        """Return the same for labels of episodes, whose visits may hang together.

        Args:
            episodes: Of each outcome, shape (n,).
            label_of_episode: Shape (n_episodes,).
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
            # Sorted by (stratum, noise): stratum by stratum, in random order.
            order = np.lexsort((rng.random(labels.size), sorted_strata))
            shuffled[place] = labels[place][order]
            yield shuffled

    def _differ(self, labels: Ints, shuffles: Iterator[Ints]) -> bool:
        found = self._explained(labels)
        others = np.array([self._explained(shuffled) for shuffled in shuffles])
        far = found > others.mean(axis=0) + _FAR * others.std(axis=0) + 1e-9 * np.abs(found)
        return bool((far & (found > others.max(axis=0))).any())

    def _explained(self, labels: Ints) -> Floats:
        """Return the statistic of what is seen, and of what is paid, shape (2,)."""
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
    """Return rewards less their stratum's mean, in units of all their deviations."""
    means = np.bincount(strata, rewards) / np.maximum(np.bincount(strata), 1)
    deviations = rewards - means[strata]
    spread = float(np.sqrt(np.mean(deviations**2)))
    return deviations / spread if spread > 0.0 else np.zeros_like(rewards)
