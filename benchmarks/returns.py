"""Learning curves: the returns of the episodes that end in training."""

import statistics

from stable_baselines3.common.callbacks import BaseCallback


class Returns(BaseCallback):
    """Notes when episodes end, and their returns."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        found = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self._ends += [(self.num_timesteps, float(r)) for r in found]
        return True

    def means(self, n_steps: int, points: int) -> list[float]:
        """Return the mean return in each part of the steps; NaN where no episode ended."""
        means = []
        for i in range(points):
            low, high = (n_steps * k / points for k in (i, i + 1))
            found = [r for t, r in self._ends if low < t <= high]
            means.append(statistics.fmean(found) if found else float("nan"))
        return means
