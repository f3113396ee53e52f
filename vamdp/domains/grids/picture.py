"""Grids of tiles as pictures and as text, with what a learner thinks of each tile.

The colours are those of RL3's Figure 4 (arXiv 2306.15909): obstacles black, water blue, warnings
orange, dangers red, the goal green; of frozen lakes, ice pale and holes dark blue. Okabe and Ito's
shades of them are told apart by every kind of colour vision, and tiles that matter carry a sign
besides. A value v shades its tile by sqrt(|v| / scale), violet above 0 and grey below: the root
makes a step's cost visible beside a goal. Tiles of which nothing is known stay plain.
Where a learner takes several tiles for one state, lines part its clusters.

The letters are those of `vamdp.mdp.grid_tasks`; cell (r, c) has the number r * n_columns + c. A
picture is put together from tiles drawn once, so that a next frame in which little changed takes a
millisecond or two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import DependencyNotInstalled
from gymnasium.utils import colorize

from vamdp.argument_checks import as_number
from vamdp.shell import install_command

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

WHITE, INK = (255, 255, 255), (34, 34, 34)
TILE_COLOURS: dict[str, Colour] = {
    " ": WHITE,
    "S": WHITE,
    "O": INK,
    "W": (86, 180, 233),
    "!": (240, 173, 46),
    "X": (213, 94, 0),
    "G": (0, 158, 115),
    "F": (233, 244, 250),
    "H": (0, 91, 150),
}
LINE_COLOUR: Colour = (203, 207, 212)
BORDER_COLOUR: Colour = (148, 82, 0)
AGENT_COLOUR: Colour = (255, 232, 31)
MOST_VIOLET, MOST_GREY = (106, 61, 154), (96, 96, 96)
N_SHADES = 24

_SIGNS = "SG!X"  # letters that are written on tiles without a value
_PLAIN = " SF"  # tiles that a value may cover entirely; others keep a frame of their colour
_FINE = 4  # shapes are drawn this much larger, and shrunk: smooth edges


def draw(
    grid: Sequence[str],
    *,
    agent: int | None = None,
    values: npt.NDArray[np.float64] | None = None,
    counts: npt.NDArray[np.int64] | None = None,
    clusters: npt.NDArray[np.int64] | None = None,
    scale: float = 1.0,
    tile_size: int | None = None,
) -> Picture:
    """Draw a grid.

    Args:
        grid: Its letters, one string per row.
        agent: The cell that the agent is in, or None.
        values: Of each cell, shape (S,), nan where nothing is known; None shows none.
        counts: Visits of each cell, shape (S,), shown in the corner where above 0; None shows none.
        clusters: Number of the cluster that each cell is in, shape (S,), -1 for none. Those of
            several cells are shown with a border, the others not.
        scale: Size of a value that shades a tile as dark as it gets, above 0.
        tile_size: Width of a tile in pixels, at least 8; None: the picture is about 520 wide.

    Returns:
        Red, green and blue, shape (n_rows * tile_size, n_columns * tile_size, 3).

    Raises:
        DependencyNotInstalled: Pillow is missing.
        ValueError: `tile_size` or `scale` is out of range.
    """
    if tile_size is not None and not as_number(tile_size) >= 8:
        raise ValueError(f"`tile_size` must be at least 8, got {tile_size!r}.")
    if not as_number(scale) > 0.0:
        raise ValueError(f"`scale` must be above 0, got {scale!r}.")
    n = default_tile_size(grid) if tile_size is None else tile_size
    n_columns = len(grid[0])
    picture = np.empty((len(grid) * n, n_columns * n, 3), np.uint8)
    for s, letter in enumerate("".join(grid)):
        v = np.nan if values is None else float(values[s])
        known = v == v  # not nan
        tile = _tile(
            letter,
            _shade(v, scale) if known else None,
            value_text(v, scale) if known else "",
            str(counts[s]) if counts is not None and counts[s] > 0 else "",
            s == agent,
            n,
        )
        y, x = s // n_columns * n, s % n_columns * n
        picture[y : y + n, x : x + n] = tile
    picture[-1] = picture[:, -1] = LINE_COLOUR
    if clusters is not None:
        _draw_borders(picture, clusters.reshape(len(grid), n_columns), n)
    return picture


def _draw_borders(picture: Picture, clusters: npt.NDArray[np.int64], n: int) -> None:
    """Draw a line around the cells of each cluster (n_rows, n_columns) that has several."""
    numbers, sizes = np.unique(clusters[clusters >= 0], return_counts=True)
    clusters = np.where(np.isin(clusters, numbers[sizes > 1]), clusters, -1)
    width = max(2, n // 16)
    padded = np.pad(clusters, 1, constant_values=-1)
    for r, c in np.argwhere(clusters >= 0).tolist():
        own, y, x = clusters[r, c], r * n, c * n
        # Inside of the cell, so that neighbouring clusters have a line each.
        tile = picture[y : y + n + 1, x : x + n + 1]
        if padded[r, c + 1] != own:
            tile[: width + 1] = BORDER_COLOUR
        if padded[r + 2, c + 1] != own:
            tile[-width - 1 :] = BORDER_COLOUR
        if padded[r + 1, c] != own:
            tile[:, : width + 1] = BORDER_COLOUR
        if padded[r + 1, c + 2] != own:
            tile[:, -width - 1 :] = BORDER_COLOUR


def text(
    grid: Sequence[str],
    *,
    agent: int | None = None,
    values: npt.NDArray[np.float64] | None = None,
    counts: npt.NDArray[np.int64] | None = None,
    scale: float = 1.0,
) -> str:
    """Write a grid in letters, the agent's marked in red as toy-text does, and tables below.

    Args:
        grid: See `draw`.
        agent: See `draw`.
        values: See `draw`; a dot where nothing is known.
        counts: See `draw`; a dot where 0.
        scale: Values get two decimals below 10, else one.

    Example:
        >>> print(text(["S G"], values=np.array([89.02, np.nan, 0.0]), scale=100.0))
        S G
        <BLANKLINE>
           89.0      .    0.0
        <BLANKLINE>
    """
    n_columns = len(grid[0])
    rows = [list(row) for row in grid]
    if agent is not None:
        r, c = divmod(agent, n_columns)
        rows[r][c] = colorize(rows[r][c], "red", highlight=True)
    parts = ["".join(row) for row in rows]
    if values is not None:
        decimals = _decimals(scale)
        shown = ["." if v != v else f"{v:z.{decimals}f}" for v in values.tolist()]
        parts += ["", *_table(shown, n_columns, 7)]
    if counts is not None:
        shown = ["." if n == 0 else str(n) for n in counts.tolist()]
        parts += ["", *_table(shown, n_columns, 4)]
    return "\n".join(parts) + "\n"


def value_text(v: float, scale: float) -> str:
    """Return a value in at most four characters or so: -87, 3.4; .07 where the scale is small.

    What rounds to zero is 0 on every scale.

    Example:
        >>> [value_text(v, 100.0) for v in (-87.4, 3.42, -0.01)], value_text(0.068, 1.0)
        (['-87', '3.4', '0'], '.07')
    """
    decimals = 0 if abs(v) >= 9.95 else _decimals(scale)
    shown = f"{v:.{decimals}f}"
    if float(shown) == 0.0:
        return "0"
    if decimals == 2:
        shown = shown.replace("0.", ".", 1) if abs(float(shown)) < 1.0 else shown
    return shown


def default_tile_size(grid: Sequence[str]) -> int:
    """Return a tile size from 24 to 96 pixels; even, as sides of pictures must be in many films."""
    fitting = 520 // max(len(grid), len(grid[0])) // 2 * 2
    return min(max(fitting, 24), 96)


def shades() -> list[Colour]:
    """Return all colours that values shade tiles with, from the lowest to the highest."""
    return [_blend(shade) for shade in range(-N_SHADES, N_SHADES + 1)]


def pillow() -> Any:
    """Import Pillow's modules Image, ImageDraw and ImageFont, and return the package.

    Raises:
        DependencyNotInstalled: It is missing.
    """
    try:
        import PIL
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise DependencyNotInstalled(
            f"Pillow is not installed: for pictures run {install_command('render')}."
        ) from error
    return PIL


def _decimals(scale: float) -> int:
    return 1 if scale >= 10.0 else 2


def _table(shown: Sequence[str], n_columns: int, width: int) -> list[str]:
    cells = [f"{cell:>{width}}" for cell in shown]
    return ["".join(cells[i : i + n_columns]) for i in range(0, len(cells), n_columns)]


def _shade(v: float, scale: float) -> int:
    """From -N_SHADES, darkest grey, to N_SHADES, darkest violet."""
    depth = round(N_SHADES * math.sqrt(min(abs(v) / scale, 1.0)))
    return depth if v > 0.0 else -depth


def _blend(shade: int) -> Colour:
    """White mixed with violet or grey; shade 0 is a white that differs from plain tiles a bit."""
    darkest = MOST_VIOLET if shade > 0 else MOST_GREY
    weight = 0.06 + 0.94 * abs(shade) / N_SHADES
    mixed = [round(255 + weight * (end - 255)) for end in darkest]
    return mixed[0], mixed[1], mixed[2]


def _ink_on(colour: Colour) -> Colour:
    """Black or white, whichever is read better there."""
    red, green, blue = colour
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


@lru_cache(maxsize=1024)  # 28 MB of the largest, those of 4x4 lakes
def _tile(
    letter: str, shade: int | None, value: str, count: str, has_agent: bool, n: int
) -> Picture:
    """One tile, shape (n, n, 3), with a line above and left of it."""
    PIL = pillow()
    colour = ground = TILE_COLOURS.get(letter, WHITE)
    large = PIL.Image.new("RGB", (n * _FINE, n * _FINE), colour)
    shapes = PIL.ImageDraw.Draw(large)

    def box(margin: float) -> tuple[int, int, int, int]:  # from the line's inner edge on
        near, far = round((1 + margin) * _FINE), round((n - margin) * _FINE) - 1
        return near, near, far, far

    frame = max(2, n // 8)
    if shade is not None:
        ground = _blend(shade)
        shapes.rectangle(box(0 if letter in _PLAIN else frame), fill=ground)
    if letter == "S":
        shapes.rectangle(box(frame / 2), outline=INK, width=max(1, n // 20) * _FINE)
    if has_agent:
        ground = AGENT_COLOUR
        shapes.ellipse(box(n * 0.09), fill=ground, outline=INK, width=max(1, n // 16) * _FINE)
    tile = large.resize((n, n), PIL.Image.Resampling.BOX)
    pen = PIL.ImageDraw.Draw(tile)
    middle, font_of, ink = n / 2 + 0.5, PIL.ImageFont.load_default, _ink_on(ground)
    # Colours tell other tiles under their values; a start has none.
    is_low = letter == "S" and bool(value or count)
    low = () if has_agent else (count, "S" if is_low else "")
    if value:
        y = middle - (n * 0.1 if any(low) else 0)
        pen.text((middle, y), value, ink, font_of(min(n * 0.34, 24.0)), anchor="mm")
    elif letter in _SIGNS and not (has_agent or is_low):
        pen.text((middle, middle), letter, ink, font_of(min(n * 0.5, 32.0)), anchor="mm")
    edge = n - 2 - (frame / 2 if letter in " F" else frame)
    for words, x, anchor in zip(low, (edge, n - edge + 1), ("rs", "ls"), strict=False):
        pen.text((x, edge), words, ink, font_of(min(max(9.0, n * 0.3), 18.0)), anchor=anchor)
    pixels = np.array(tile)
    pixels[0] = pixels[:, 0] = LINE_COLOUR
    pixels.flags.writeable = False  # shared by all pictures
    return pixels
