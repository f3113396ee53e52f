"""Showing an environment's grid by Gymnasium's render modes.

    "ansi"       a string, `vamdp.domains.grids.picture.text`
    "rgb_array"  an array, `vamdp.domains.grids.picture.draw`
    "human"      the same in a window, which is drawn anew by every reset and step

A learner around the environment adds its thoughts. For the time of one rendering it lends an
*overlay*: a function from an observation to what the learner has of that state, a `Thought`. The
environment knows the observation of each tile, and asks about all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import DependencyNotInstalled

from vamdp.domains.grids import picture as grid_picture
from vamdp.mdp.grid_tasks import GRID_WORLD
from vamdp.shell import install_command


class Thought(NamedTuple):
    """What a learner has of a state.

    Attributes:
        value: nan if it knows nothing.
        visits: how often it was acted in.
        cluster: number of the abstract state that it is in; -1: of none, or the learner has none.
    """

    value: float = float("nan")
    visits: int = 0
    cluster: int = -1


Overlay = Callable[[Any], Thought]

RENDER_MODES = ("ansi", "rgb_array", "human")
RENDER_FPS = 8

_BLOCKING = [letter for letter, b in zip(GRID_WORLD.letters, GRID_WORLD.blocks, strict=True) if b]


class GridView:
    """Renders grids in one mode.

    Args:
        mode: None, or one of `RENDER_MODES`.

    Attributes:
        follows: Whether resets and steps are to be shown as they happen: in mode "human", unless
            somebody else calls `render` after each.
        show_counts: Whether to show a learner's visit counts beside its values.
    """

    def __init__(self, mode: str | None) -> None:
        self.mode = mode
        self.follows = mode == "human"
        self._overlay: Overlay | None = None  # what a learner lends
        self.show_counts = False
        self._window: Window | None = None

    def leave_to_wrapper(self) -> bool:
        """Follow no more: a wrapper renders from now on; returns whether it is to follow."""
        follows, self.follows = self.follows, False
        return follows

    @contextmanager
    def lent(self, overlay: Overlay) -> Iterator[None]:
        """What a learner has of each state is shown until the block is left."""
        self._overlay = overlay
        try:
            yield
        finally:
            self._overlay = None

    def render(
        self,
        grid: Sequence[str],
        agent: int | None,
        scale: float,
        observe: Callable[[int], Any],
    ) -> Any:
        """Show a grid.

        Args:
            grid: Its letters.
            agent: The cell that the agent is in, or None.
            scale: Size of the largest values.
            observe: Cell -> what is seen there.

        Returns:
            A string or an array; None in a window, or without a mode.
        """
        if self.mode is None:
            gymnasium.logger.warn(
                "render() was called without a render mode: pass `render_mode` to "
                f"gymnasium.make, one of {', '.join(RENDER_MODES)}."
            )
            return None
        values = counts = clusters = None
        if self._overlay is not None:
            values, counts, clusters = _ask(grid, observe, self._overlay)
        shown: dict[str, Any] = {
            "agent": agent,
            "values": values,
            "counts": counts if self.show_counts else None,
            "scale": scale,
        }
        if self.mode == "ansi":
            return grid_picture.text(grid, **shown)
        picture = grid_picture.draw(grid, clusters=clusters, **shown)
        if self.mode == "rgb_array":
            return picture
        self._window = self._window or Window()
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None


class Window:
    """A window on the screen, opened by the first picture. Copies have none yet."""

    def __init__(self) -> None:
        self._surface: Any = None
        self._clock: Any = None

    def __reduce__(self) -> Any:
        return Window, ()

    def show(self, picture: grid_picture.Picture) -> None:
        """Show a picture, no sooner than 1 / RENDER_FPS seconds after the last.

        Raises:
            DependencyNotInstalled: pygame is missing.
        """
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                f"pygame is not installed: for a window run {install_command('render')}."
            ) from error
        size = picture.shape[1::-1]
        if self._surface is None or self._surface.get_size() != size:
            pygame.display.init()
            pygame.display.set_caption("vamdp")
            self._surface = pygame.display.set_mode(size)
            self._clock = pygame.time.Clock()
        self._surface.blit(pygame.image.frombuffer(picture.tobytes(), size, "RGB"), (0, 0))
        pygame.event.pump()
        pygame.display.update()
        self._clock.tick(RENDER_FPS)

    def close(self) -> None:
        """Close it."""
        if self._surface is not None:
            import pygame

            pygame.display.quit()
            self._surface = None


def _ask(
    grid: Sequence[str], observe: Callable[[int], Any], overlay: Overlay
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Value, visits and cluster of each cell, (S,) each."""
    thoughts = [
        Thought() if letter in _BLOCKING else overlay(observe(s))
        for s, letter in enumerate("".join(grid))
    ]
    values, counts, clusters = zip(*thoughts, strict=True)
    return np.array(values, np.float64), np.array(counts, np.int64), np.array(clusters, np.int64)


def check_mode(render_mode: str | None) -> None:
    """Raise ValueError unless it is None or one of `RENDER_MODES`."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(
            f"`render_mode` must be None or one of {', '.join(RENDER_MODES)}, got {render_mode!r}."
        )
