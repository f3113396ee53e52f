"""Draw the legend below a film's panels: the colours that occur in it and their meanings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vamdp.domains.grids.picture import (
    BORDER_COLOUR,
    INK,
    MOST_GREY,
    MOST_VIOLET,
    WHITE,
    Picture,
    draw,
)

AGENT, VALUES, VISITS, CLUSTERS = "agent", "values", "visits", "clusters"
_TILES = {
    "S": "start",
    "G": "goal",
    "O": "obstacle",
    "W": "water",
    "!": "warning",
    "X": "danger",
    "F": "ice",
    "H": "hole",
}
_SIDE, _HEIGHT, _GAP = 22, 30, 18  # side of a sample; height of a line; gap between entries


class _Entry(NamedTuple):
    """A sample and its meaning."""

    sample: Picture
    words: str


def seen_of(grid: Iterable[str], **others: bool) -> list[str]:
    """Return the names of what a film shows, in the order of the legend.

    Args:
        grid: Rows of letters.
        **others: Whether `values`, `visits` and `clusters` are shown.
    """
    letters = set("".join(grid))
    return [letter for letter in _TILES if letter in letters] + [
        AGENT,
        *(name for name in (VALUES, VISITS, CLUSTERS) if others.get(name)),
    ]


def legend_strip(seen: Iterable[str], width: int) -> Image.Image:
    """Draw the legend, as high as it must be.

    Args:
        seen: See `seen_of`; each name once.
        width: Width in pixels.
    """
    entries = [entry for name in seen for entry in _samples()[name]]
    font = ImageFont.load_default(15)
    places, x, y = [], 0, 0
    for entry in entries:
        length = _SIDE + 6 + round(font.getlength(entry.words))
        if x > 0 and x + length > width:
            x, y = 0, y + _HEIGHT
        places.append((x, y))
        x += length + _GAP
    strip = Image.new("RGB", (width, y + _HEIGHT), WHITE)
    pen = ImageDraw.Draw(strip)
    for entry, (x, y) in zip(entries, places, strict=True):
        top = y + (_HEIGHT - _SIDE) // 2
        strip.paste(Image.fromarray(entry.sample), (x, top))
        pen.text((x + _SIDE + 6, y + _HEIGHT / 2), entry.words, INK, font, anchor="lm")
    return strip


def _samples() -> Mapping[str, list[_Entry]]:
    tiles = {letter: [_Entry(_tile(letter), words)] for letter, words in _TILES.items()}
    violet, grey = (_plain(colour) for colour in (MOST_VIOLET, MOST_GREY))
    border = _plain(BORDER_COLOUR)
    border[3:-3, 3:-3] = WHITE
    number = Image.new("RGB", (_SIDE, _SIDE), WHITE)
    font = ImageFont.load_default(13)
    ImageDraw.Draw(number).text((_SIDE - 1, _SIDE - 3), "12", INK, font, anchor="rs")
    return {
        **tiles,
        AGENT: [_Entry(draw([" "], agent=0, tile_size=_SIDE), "agent")],
        VALUES: [_Entry(violet, "value above 0"), _Entry(grey, "below 0")],
        VISITS: [_Entry(np.array(number), "visits")],
        CLUSTERS: [_Entry(border, "one state to the learner")],
    }


def _tile(letter: str) -> Picture:
    return draw([letter], tile_size=_SIDE)


def _plain(colour: tuple[int, int, int]) -> Picture:
    return np.full((_SIDE, _SIDE, 3), colour, np.uint8)
