r"""Map states (n, d) to features (n, k): coordinates, random Fourier features, or a function.

Random Fourier features (Rahimi and Recht, 2007) approximate a Gaussian kernel of the scaled states:

    phi_i(s) = sqrt(2 / k) cos(omega_i . s + b_i),    omega_i ~ N(0, I / width^2), b_i ~ U(0, 2 pi)

where phi(s) . phi(t) = exp(-|s - t|^2 / (2 width^2)) in expectation.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.compiled import njit
from vamdp.estimators.linear.options import LinearOptions, is_transformer
from vamdp.estimators.scaled_distances import check_n_scales


class Features:
    """The features of one state per task; the last result is cached.

    Args:
        options: The learner's options, which choose the features.
    """

    def __init__(self, options: LinearOptions) -> None:
        self._options = options
        self._waves: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None
        self._n_features: int | None = None  # known from the first state on
        self._states = np.zeros((0, 0))
        self._phi = np.zeros((0, 0))

    def __call__(self, states: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the features (n_tasks, k) of states (n_tasks, d); do not modify the result.

        Raises:
            ValueError: The number of scales is not d, or a custom function raises an error, or
                returns features of another shape than before or features that are not finite.
        """
        if not np.array_equal(states, self._states):
            phi = self._make(states)
            self._states, self._phi, self._n_features = states.copy(), phi, phi.shape[1]
        return self._phi

    def _make(self, states: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if is_transformer(self._options.features):
            return self._ask(states)
        n_tasks, d = states.shape
        check_n_scales(self._options.scales, d)
        scales = self._options.scales
        scaled = states if scales is None else states / np.array(scales)
        if self._options.features is None:
            return np.hstack([scaled, np.ones((n_tasks, 1))])
        k = int(self._options.features)
        if self._waves is None:
            rng = np.random.default_rng(self._options.features_seed)
            frequencies = rng.normal(size=(k, d)) / self._options.width
            self._waves = frequencies, rng.uniform(0, 2 * np.pi, size=k)
        phi = np.empty((n_tasks, k))
        _write_waves(scaled, *self._waves, phi)
        return phi

    def _ask(self, states: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        own = self._options.features
        try:
            answer: Any = (getattr(own, "transform", None) or own)(states.copy())
        except Exception as error:
            raise ValueError(
                f"`features` must map states of shape {states.shape} to features, got "
                f"{type(error).__name__}: {error}. A transformer must be fitted first, on states "
                f"of {states.shape[1]} numbers."
            ) from error
        if hasattr(answer, "toarray"):  # a SciPy sparse matrix
            answer = answer.toarray()
        try:
            # Complex numbers would lose a part without an error.
            phi = np.asarray(answer).astype(np.float64, order="C", casting="same_kind")
        except (TypeError, ValueError):
            phi = np.zeros(())
        k = self._n_features or (phi.shape[1] if phi.ndim == 2 else 0)
        if k == 0 or phi.shape != (len(states), k):
            raise ValueError(
                f"`features` must return numbers of shape ({len(states)}, {k or 'k'}) for states "
                f"of shape {states.shape}, got shape {np.shape(answer)}."
            )
        finite = np.isfinite(phi)
        if not finite.all():
            i, j = np.argwhere(~finite)[0]
            raise ValueError(
                f"`features` must return finite numbers, got {phi[i, j]} in entry {j} for state "
                f"{states[i].tolist()}."
            )
        return phi


@njit(cache=True, borrows=True)
def _write_waves(scaled, frequencies, phases, phi):
    """Write the random Fourier features of states (n, d) into phi (n, k)."""
    height = math.sqrt(2.0 / phases.size)
    for i in range(phi.shape[0]):
        for j in range(phi.shape[1]):
            angle = phases[j]
            for x in range(scaled.shape[1]):
                angle += frequencies[j, x] * scaled[i, x]
            phi[i, j] = height * math.cos(angle)
