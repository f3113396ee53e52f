"""Draw the panels of a film: title and event, the task's picture, facts, and the advantages.

    RL³                   goal: +100       title (in small lines above if long), what just happened
    [ picture of the task            ]
    episode 2    step 41 of 350   return -87
    [stay -1.2][north 0][east -3.4] ...        Q - max Q of the current tile; the action in yellow

All pictures of a film share one palette: the colours of tiles and panels, and mixtures with the
colour of text for the edges of letters. This keeps files small and avoids flicker.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from rl3_sb3.experiments.films.legend import legend_strip
from rl3_sb3.experiments.films.shot import Shot, Still
from vamdp.domains.grids.picture import (
    AGENT_COLOUR,
    BORDER_COLOUR,
    INK,
    LINE_COLOUR,
    MOST_GREY,
    MOST_VIOLET,
    TILE_COLOURS,
    WHITE,
    Colour,
    shades,
    value_text,
)

MARGIN, GAP = 12, 6
TITLE_HEIGHT, LINE_HEIGHT, ACTIONS_HEIGHT = 34, 28, 40
# Room for the facts "episode 88", "step 1000 of 1000" and "return -100.5", and for five actions.
_LEAST_WIDTH = 380
_TITLE_SIZE, _SMALL_TITLE_SIZE, _SMALL_TITLE_HEIGHT = 21, 15, 20
_CELL_COLOUR: Colour = (236, 238, 241)
_RAISED = {"²": "2", "³": "3"}  # the font lacks these characters


class Caption(NamedTuple):
    """The text around a picture.

    Attributes:
        title: Title of the meta-episode.
        event: What has just happened, or "".
        colour: Colour of the event.
        facts: Episode, step and total reward.
        actions: Name of each action, and its advantage or "".
    """

    title: str
    event: str
    colour: Colour
    facts: tuple[str, str, str]
    actions: list[tuple[str, str]]


def caption(title: str, shot: Shot, horizon: int, action_names: Sequence[str]) -> Caption:
    """Return the text around a shot.

    Args:
        title: Title of the algorithm.
        shot: The moment.
        horizon: Steps of the meta-episode.
        action_names: One name per action.
    """
    event, colour = "", _CELL_COLOUR
    if shot.ended == "terminated":
        name = "goal" if shot.reward > 0 else "danger" if shot.reward < 0 else "hole"
        event = f"{name}: {_signed(shot.reward)}"
        colour = TILE_COLOURS["G" if shot.reward > 0 else "X"]
    elif shot.ended:
        event = "time limit"
    elif shot.starts and shot.step > 0:
        event = "back to the start"
    advantages = [""] * len(action_names)
    if shot.advantages is not None and len(action_names) > 0:
        scale = 100.0 if shot.advantages.min() <= -1.0 else 1.0
        advantages = [value_text(float(x), scale) for x in shot.advantages]
    return Caption(
        title,
        event,
        colour,
        (
            f"episode {shot.episode}",
            f"step {shot.step} of {horizon}",
            f"return {_signed(shot.total)}",
        ),
        list(zip(action_names, advantages, strict=True)),
    )


def _signed(x: float) -> str:
    """Return a reward as text, with a decimal only if it has one."""
    if x == 0:
        return "0"
    return f"{x:+z.0f}" if x == round(x) else f"{x:+z.1f}"


# -------------------------------------------------------------------- drawing


def keep(picture: npt.NDArray[np.uint8]) -> Still:
    """Return a picture (height, width, 3) in the palette, a third of its size in memory."""
    return Image.fromarray(picture).quantize(palette=_palette(), dither=Image.Dither.NONE)


def film_frame(
    titles: Sequence[str],
    shots: Sequence[Shot],
    horizon: int,
    action_names: Sequence[str],
    seen: Sequence[str] = (),
) -> Still:
    """Draw the panels of several agents in the same task side by side.

    Args:
        titles: Title of each agent.
        shots: Shot of each agent.
        horizon: Steps of the meta-episode.
        action_names: One name per action.
        seen: What the legend explains, see `legend.seen_of`; empty: no legend.
    """
    words = [
        caption(title, shot, horizon, action_names)
        for title, shot in zip(titles, shots, strict=True)
    ]
    return _with_legend(_side_by_side(words, shots), tuple(seen))


def snapshot_sheet(
    rows: Sequence[Sequence[tuple[str, Shot]]], horizon: int, seen: Sequence[str] = ()
) -> Still:
    """Draw shots in rows, without the actions.

    Args:
        rows: Titles and shots of each row; a title may be "".
        horizon: Steps of the meta-episode.
        seen: See `film_frame`.
    """
    strips = []
    for row in rows:
        words = [caption(title, shot, horizon, ()) for title, shot in row]
        strips.append(_side_by_side(words, [shot for _, shot in row]))
    sheet = _blank(max(strip.width for strip in strips), sum(strip.height for strip in strips))
    y = 0
    for strip in strips:
        sheet.paste(strip, (0, y))
        y += strip.height
    return _with_legend(sheet, tuple(seen))


def _with_legend(frame: Still, seen: tuple[str, ...]) -> Still:
    if not seen:
        return frame
    strip = _legend(seen, frame.width - 2 * MARGIN)
    whole = _blank(frame.width, frame.height + strip.height)
    whole.paste(frame, (0, 0))
    whole.paste(strip, (MARGIN, frame.height))
    return whole


@lru_cache(maxsize=4)  # the same in all frames of a film
def _legend(seen: tuple[str, ...], width: int) -> Still:
    return keep(np.asarray(legend_strip(seen, width)))


def _panel(words: Caption, shot: Shot, n_lines: int) -> Still:
    """Draw a panel with room for a title of so many small lines."""
    width, height = _width(shot), shot.picture.height
    above = Image.new("RGB", (width, n_lines * _SMALL_TITLE_HEIGHT + TITLE_HEIGHT), WHITE)
    _draw_title(above, words)
    actions_height = ACTIONS_HEIGHT if words.actions else 0
    below = Image.new("RGB", (width, LINE_HEIGHT + actions_height), WHITE)
    _draw_facts(below, words.facts)
    if words.actions:
        _draw_actions(below, words.actions, shot)
    panel = _blank(width, above.height + height + below.height)
    panel.paste(keep(np.asarray(above)), (0, 0))
    panel.paste(shot.picture, ((width - shot.picture.width) // 2, above.height))
    panel.paste(keep(np.asarray(below)), (0, above.height + height))
    return panel


def _width(shot: Shot) -> int:
    """Return the width of a shot's panel."""
    return max(shot.picture.width, _LEAST_WIDTH)


@lru_cache(maxsize=64)  # the same in all frames of a film
def _small_lines(title: str, width: int) -> list[str]:
    """Return a title in small lines that fit; none if one large line is enough."""
    if _length(title, _TITLE_SIZE) <= width:
        return []
    n_signs, lines = len(title), [title]
    while n_signs > 1 and max(_length(line, _SMALL_TITLE_SIZE) for line in lines) > width:
        n_signs -= 1
        lines = textwrap.wrap(title, n_signs, break_on_hyphens=False)
    return lines


def _length(line: str, size: int) -> float:
    return sum(float(font.getlength(text)) for text, font, _ in _signs(line, size))


def _signs(line: str, size: int) -> list[tuple[str, Any, int]]:
    """Return each sign of a line, its font, and by how much it is raised."""
    plain, small = _font(size), _font(size * 2 // 3)
    return [
        (_RAISED[sign], small, size * 2 // 5) if sign in _RAISED else (sign, plain, 0)
        for sign in line
    ]


def _draw_title(canvas: Still, words: Caption) -> None:
    pen = ImageDraw.Draw(canvas)
    small = _small_lines(words.title, canvas.width)
    size, base = (_SMALL_TITLE_SIZE, 16) if small else (_TITLE_SIZE, TITLE_HEIGHT - 10)
    for line in small or [words.title]:
        x = 0.0
        for text, font, raised in _signs(line, size):
            pen.text((x, base - raised), text, INK, font, anchor="ls")
            x += pen.textlength(text, font)
        base += _SMALL_TITLE_HEIGHT
    if words.event:
        font = _font(15)
        length = pen.textlength(words.event, font)
        right, bottom = canvas.width - 1, canvas.height
        box = (right - length - 16, bottom - TITLE_HEIGHT + 5, right, bottom - 6)
        pen.rounded_rectangle(box, 6, fill=words.colour)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        ink = INK if words.colour == _CELL_COLOUR else WHITE
        pen.text(middle, words.event, ink, font, anchor="mm")


def _draw_facts(canvas: Still, facts: tuple[str, str, str]) -> None:
    pen, font, y = ImageDraw.Draw(canvas), _font(15), LINE_HEIGHT / 2 + 1
    for text, x, anchor in zip(
        facts, (0, canvas.width / 2, canvas.width - 1), ("lm", "mm", "rm"), strict=True
    ):
        pen.text((x, y), text, INK, font, anchor=anchor)


def _draw_actions(canvas: Still, actions: Sequence[tuple[str, str]], shot: Shot) -> None:
    pen = ImageDraw.Draw(canvas)
    n = len(actions)
    width = (canvas.width - GAP * (n - 1)) / n
    top, bottom = LINE_HEIGHT, LINE_HEIGHT + ACTIONS_HEIGHT - 2
    for a, (name, advantage) in enumerate(actions):
        left = round(a * (width + GAP))
        right = round(left + width) - 1
        is_chosen = a == shot.action
        pen.rounded_rectangle(
            (left, top, right, bottom),
            5,
            fill=AGENT_COLOUR if is_chosen else _CELL_COLOUR,
            outline=INK if is_chosen else None,
        )
        middle = (top + bottom) / 2 - (3 if advantage else 0)
        if not advantage or shot.advantages is None:
            pen.text(((left + right) / 2, middle), name, INK, _font(13), anchor="mm")
            continue
        pen.text((left + 7, middle), name, INK, _font(13), anchor="lm")
        pen.text((right - 6, middle), advantage, INK, _font(13), anchor="rm")
        worst = float(shot.advantages.min())
        share = 1.0 if worst == 0.0 else 1.0 - float(shot.advantages[a]) / worst
        if share > 0.0:
            end = left + 7 + share * (right - left - 13)
            paint = MOST_VIOLET if shot.advantages[a] == 0.0 else MOST_GREY
            pen.rectangle((left + 7, bottom - 9, end, bottom - 6), fill=paint)


def _side_by_side(words: Sequence[Caption], shots: Sequence[Shot]) -> Still:
    pairs = list(zip(words, shots, strict=True))
    n_lines = max(len(_small_lines(each.title, _width(shot))) for each, shot in pairs)
    panels = [_panel(each, shot, n_lines) for each, shot in pairs]
    width = sum(panel.width for panel in panels) + MARGIN * (len(panels) + 1)
    frame = _blank(width + width % 2, panels[0].height + MARGIN)
    x = MARGIN
    for panel in panels:
        frame.paste(panel, (x, 0))
        x += panel.width + MARGIN
    return frame


def _blank(width: int, height: int) -> Still:
    """Return a white image in the palette, whose first colour is white."""
    image = Image.new("P", (width, height))
    image.putpalette(_palette().getpalette() or ())
    return image


@lru_cache(maxsize=1)
def _palette() -> Still:
    grounds = [WHITE, *TILE_COLOURS.values(), LINE_COLOUR, AGENT_COLOUR, _CELL_COLOUR, *shades()]
    plain = [MOST_VIOLET, MOST_GREY, BORDER_COLOUR, INK]
    colours: dict[Colour, None] = dict.fromkeys([*grounds, *plain])
    for ground in grounds:
        for share in (1 / 3, 2 / 3):
            ink = WHITE if sum(ground) < 300 else INK
            mixed = [round(x + share * (y - x)) for x, y in zip(ground, ink, strict=True)]
            colours[mixed[0], mixed[1], mixed[2]] = None
    assert len(colours) < 256, "one index is left for transparency"
    image = Image.new("P", (1, 1))
    image.putpalette([x for colour in colours for x in colour])
    return image


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
