"""What a film is made of: shots, each a moment of a meta-episode with the picture of it."""

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
        picture: Of the task.
        episode: The running episode's number, from 1.
        step: Steps done in the meta-episode.
        total: Their rewards together.
        reward: Of the last of them; 0 before the first and after a restart.
        starts: Whether an episode starts in this moment.
        ended: How the episode ended in this moment: "", "terminated" or "truncated".
        advantages: Q - max Q of the present state, shape (A,); None without value estimates, and
            where the learner knows nothing.
        action: The one that the policy takes next; None where the episode has ended, and at the
            last step.
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
        title: Of the algorithm.
        horizon: Steps of the meta-episode.
        shots: In their order.
        seen: What is to be seen in them, by the names of `legend.seen_of`.
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
