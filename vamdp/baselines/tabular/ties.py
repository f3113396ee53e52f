"""Break ties between actions at random, so that no action is favoured for its index."""

import numpy as np
import numpy.typing as npt


def best_actions(Q: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return an action of largest value in each row; ties are broken uniformly at random.

    Args:
        Q: Action values, shape (n_tasks, A).
        rng: The random generator; it draws one number per entry, with or without ties.

    Returns:
        Shape (n_tasks,).

    Example:
        >>> best_actions(np.array([[0.0, 2.0, 1.0]]), np.random.default_rng(0))
        array([1])
    """
    is_best = Q == Q.max(axis=1, keepdims=True)
    actions: npt.NDArray[np.int64] = np.where(is_best, rng.random(Q.shape), -1.0).argmax(axis=1)
    return actions
