"""Film trained runs in one held-out task, as a GIF and as a PNG: `rl3 play`.

Several runs are shown side by side, step by step. If an episode ends, a frame shows its end, a
little longer, before the frame that shows the restart.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.domains import CANONICAL, DOMAINS
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.files.atomic_file import replace_content
from rl3_sb3.experiments.films.film import record
from rl3_sb3.experiments.films.panels import film_frame, snapshot_sheet
from rl3_sb3.experiments.films.shot import Film, Shot
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.run_policy import load_run_policy
from rl3_sb3.experiments.settings.run_config import RunConfig, check_integer

LEAST_FPS, MOST_FPS = 0.1, 50.0  # the limit of GIFs, and the limit of browsers
MOST_TASK = 2**31  # larger seeds may not be valid for torch and NumPy
_END_FACTOR = 4  # an episode's end is shown for this many frames
_LAST_MILLISECONDS = 3000


@dataclass(frozen=True, kw_only=True)
class PlayOptions:
    """What to film, and how.

    Args:
        out: The GIF's file.
        task: Number of the held-out task, from 0.
        variation: The task distribution; None: the one trained on.
        fps: Frames per second, in [0.1, 50].
        snapshots: Number of panels in a PNG beside the GIF; 0: no PNG.
        show_counts: Whether to show the learner's visit counts.

    Raises:
        InputError: A value is out of range.
    """

    out: Path
    task: int = 0
    variation: str | None = None
    fps: float = 10.0
    snapshots: int = 0
    show_counts: bool = False

    def __post_init__(self) -> None:
        check_integer("task", self.task, 0)
        check_integer("snapshots", self.snapshots, 0)
        if self.task > MOST_TASK:
            raise InputError(f"`--task` must be at most {MOST_TASK}, got {self.task}.")
        if not LEAST_FPS <= self.fps <= MOST_FPS:
            raise InputError(f"`--fps` must be in [{LEAST_FPS}, {MOST_FPS:.0f}], got {self.fps}.")
        if self.out.suffix.lower() != ".gif":
            raise InputError(f"`--out` must end in .gif, got {self.out}.")
        if not self.out.parent.is_dir():
            raise InputError(
                f"`--out` must be in an existing folder, got {self.out}. Create it first."
            )

    @property
    def snapshots_file(self) -> Path:
        """The PNG's file."""
        return self.out.with_suffix(".png")


def play_runs(
    paths: Sequence[Path],
    options: PlayOptions,
    device: str = "auto",
    *,
    trust_pickle: bool = False,
) -> list[Film]:
    """Film runs in the same held-out task, and write the files.

    Args:
        paths: Folders of runs.
        options: What to film, and the files to write.
        device: Device of the policies.
        trust_pickle: See `load_run_policy`.

    Returns:
        One film per run.

    Raises:
        InputError: A run cannot be read, has no pictures, or does not match the others.
    """
    directories = [RunDirectory(path) for path in paths]
    configs = [directory.config_file.read() for directory in directories]
    _check(paths, configs, options)
    action_names = _action_names(configs[0])
    films = []
    labels = agent_labels(configs)
    for directory, config, label in zip(directories, configs, labels, strict=True):
        directory.config_file.require_same_tasks(config)
        policy, _ = load_run_policy(directory, config, device, trust_pickle=trust_pickle)
        films.append(
            record(
                config,
                policy,
                title=label,
                task=options.task,
                variation=options.variation,
                show_counts=options.show_counts,
            )
        )
    write_gif(options.out, films, action_names, options.fps)
    if options.snapshots:
        rows = []
        for film in films:
            titles = [film.title] + [""] * (options.snapshots - 1)
            rows.append(list(zip(titles, snapshots(film, options.snapshots), strict=True)))
        snapshot_sheet(rows, configs[0].horizon, _seen(films)).save(options.snapshots_file)
    return films


def timeline(films: Sequence[Film]) -> list[tuple[Shot, ...]]:
    """Return the frames of films side by side, each with one shot per film.

    There is a frame for every step, and another one if an episode restarts in any of the films;
    the others then repeat their shot.
    """
    frames = []
    by_step = [_by_step(film) for film in films]
    for present in zip(*by_step, strict=True):
        for i in range(max(map(len, present))):
            frames.append(tuple(shots[min(i, len(shots) - 1)] for shots in present))
    return frames


def snapshots(film: Film, n: int) -> list[Shot]:
    """Return n shots at equal distances, up to the last step; restarts do not hide ends."""
    by_step = _by_step(film)
    return [by_step[film.horizon * (i + 1) // n][0] for i in range(n)]


def write_gif(file: Path, films: Sequence[Film], action_names: Sequence[str], fps: float) -> None:
    """Write films side by side as a GIF that repeats."""
    frames = timeline(films)
    millisecs = max(10, round(100 / fps) * 10)  # GIF uses hundredths of a second
    durations = [
        millisecs * (_END_FACTOR if any(shot.ended for shot in shots) else 1) for shots in frames
    ]
    durations[-1] = max(_LAST_MILLISECONDS, durations[-1])
    titles, horizon, seen = [film.title for film in films], films[0].horizon, _seen(films)
    pictures = (film_frame(titles, shots, horizon, action_names, seen) for shots in frames)
    content = io.BytesIO()
    next(pictures).save(
        content,
        "GIF",
        save_all=True,
        append_images=pictures,
        duration=durations,
        loop=0,
        optimize=True,
    )
    replace_content(file, content.getvalue())


def _by_step(film: Film) -> list[list[Shot]]:
    shots: list[list[Shot]] = [[] for _ in range(film.horizon + 1)]
    for shot in film.shots:
        shots[shot.step].append(shot)
    return shots


def _check(paths: Sequence[Path], configs: Sequence[RunConfig], options: PlayOptions) -> None:
    for path, config in zip(paths, configs, strict=True):
        if options.variation is not None:
            config.facts.check_variation(options.variation)
        _check_pictures(path, config)
        if options.snapshots > config.horizon:
            raise InputError(
                f"`--snapshots` must be at most the {config.horizon} steps of a meta-episode, got "
                f"{options.snapshots}."
            )
        for name, ours, others in _facts_that_must_agree(configs[0], config, options):
            if ours != others:
                raise InputError(
                    f"`DIR` must be runs of one {name}, got {ours} in {paths[0]} and {others} in "
                    f"{path}: runs side by side must play the same task."
                )


def _check_pictures(path: Path, config: RunConfig) -> None:
    reason = "its tasks are environments, not tables with places on a grid"
    if config.facts.has_tables:
        try:
            config.facts.make_env(config.size, CANONICAL, "rgb_array").close()
            return
        except (TypeError, ValueError) as error:
            # gymnasium.make adds which creator raised it.
            reason = str(error).partition(" was raised from the environment creator")[0]
    filmed = ", ".join(name for name, facts in DOMAINS.items() if facts.action_names)
    raise InputError(
        f"`DIR` must be a run in a domain with pictures ({filmed}), got {path}, which is of "
        f"{config.domain}: {reason}"
    )


def _action_names(config: RunConfig) -> tuple[str, ...]:
    """Return the domain's names of the actions, or "action 0" and so on if it has none."""
    space: Any = config.facts.make_env(config.size, CANONICAL).action_space
    names = config.facts.action_names
    if names:
        if len(names) != space.n:
            raise InputError(
                f"`Domain.action_names` must be a name for each of {space.n} actions, got "
                f"{names!r} in {config.domain}."
            )
        return names
    return tuple(f"action {a}" for a in range(space.n))


def _seen(films: Sequence[Film]) -> list[str]:
    """Return the names of what any of the films shows, each once."""
    return list(dict.fromkeys(name for film in films for name in film.seen))


def _facts_that_must_agree(
    one: RunConfig, other: RunConfig, options: PlayOptions
) -> Iterator[tuple[str, object, object]]:
    for name in ("domain", "size", "horizon"):
        yield name, getattr(one, name), getattr(other, name)
    if options.variation is None:
        yield "variation", one.variation, other.variation
