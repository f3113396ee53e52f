"""Find the moments of a meta-episode in a grid that tell its story, as in Figure 4 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rl3_sb3.experiments.films.shot import Film, Shot


@dataclass(frozen=True)
class Event:
    """One moment.

    Attributes:
        name: What happens.
        shot: The shot that shows it.
    """

    name: str
    shot: Shot


def events(film: Film) -> list[Event]:
    """Return the moments that occur, in order.

    - before the goal: one step before an episode ends with a positive reward for the first time;
    - first goal: that step, after which the learner's values have spread back from the goal;
    - exploitation: the end of the shortest later episode that reaches a goal;
    - end: the last step.
    """
    shots = film.shots
    goals = [i for i, shot in enumerate(shots) if shot.ended == "terminated" and shot.reward > 0]
    found: dict[int, str] = {}
    if goals:
        found[goals[0] - 1] = "before the goal"
        found[goals[0]] = "first goal"
    if goals[1:]:
        quickest = min(goals[1:], key=lambda i: _length(shots, i))
        found[quickest] = "exploitation"
    found.setdefault(len(shots) - 1, "end")
    return [Event(found[i], shots[i]) for i in sorted(found)]


def _length(shots: Sequence[Shot], end: int) -> int:
    """Return the length of the episode that ends in a shot."""
    episode = shots[end].episode
    return sum(shot.episode == episode for shot in shots[: end + 1]) - 1
