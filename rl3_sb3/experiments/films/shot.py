"""`Film` and `Shot`: a meta-episode as a sequence of moments, each with its picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float32]

Still = Image.Image  # of mode "P", with the palette of `panels`


@dataclass
class Shot:
    """One moment of a meta-episode.

    Attributes:
        picture: Picture of the task.
        episode: Number of the current episode, from 1.
        step: Steps done in the meta-episode.
        total: Sum of the rewards so far.
        reward: Reward of the last step; 0 before the first step and after a restart.
        starts: Whether an episode starts at this moment.
        ended: How the episode ended at this moment: "", "terminated" or "truncated".
        advantages: Q - max Q of the current state, shape (A,); None without value estimates, or if
            the learner has not learned anything yet.
        action: The policy's next action; None if the episode has ended, and at the last step.
    """

    picture: Still
    episode: int
    step: int
    total: float
    reward: float = 0.0
    starts: bool = False
    ended: str = ""
    advantages: FloatArray | None = None
    action: int | None = None


@dataclass(frozen=True)
class Film:
    """A meta-episode.

    Attributes:
        title: Title of the algorithm.
        horizon: Steps of the meta-episode.
        shots: The shots in order.
        seen: What the shots show, by the names of `legend.seen_of`.
    """

    title: str
    horizon: int
    shots: list[Shot] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Total reward."""
        return self.shots[-1].total

    @property
    def actions(self) -> list[int]:
        """The actions taken, one per step."""
        return [shot.action for shot in self.shots if shot.action is not None]
