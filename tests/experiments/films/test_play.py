import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.films.panels import film_frame, keep
from rl3_sb3.experiments.films.play import snapshots, timeline, write_gif
from rl3_sb3.experiments.films.shot import Film, Shot
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.domains.grids.picture import draw

SMALL_LAKES = ["--size", "4", "--horizon", "20", "--n-envs", "4", "--batch-size", "40"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by name; those that nothing is asked about but their existence are untrained."""
    folder = tmp_path_factory.mktemp("runs")
    lakes = folder / "lake-rl3"
    arguments = ["train", "frozen-lake", *SMALL_LAKES, "--iterations", "2", "--out", str(lakes)]
    assert main(arguments) == 0
    configs = {
        "lake-rl2": RunConfig.of("frozen-lake", algo="rl2", size=4, horizon=20, n_envs=2),
        "lake-long": RunConfig.of("frozen-lake", size=4, horizon=30, n_envs=2),
        "lake-8": RunConfig.of("frozen-lake", horizon=20, n_envs=2),
        "lake-slippery": RunConfig.of(
            "frozen-lake", size=4, horizon=20, n_envs=2, variation="slippery"
        ),
        "grid": RunConfig.of("gridworld", horizon=20, n_envs=2),
        "bandit": RunConfig.of("bandit", horizon=20, n_envs=2),
    }
    for name, config in configs.items():
        directory = RunDirectory(folder / name)
        directory.begin(config)
        directory.save_checkpoint(make_model(config, make_training_env(config), "cpu"))
    return folder


def frames_of(file):
    """Pictures and durations of a GIF."""
    with Image.open(file) as gif:
        frames = []
        for i in range(gif.n_frames):
            gif.seek(i)
            frames.append((np.asarray(gif.convert("RGB")), gif.info["duration"]))
    return frames


def film_of(ends, horizon, title="RL³"):
    """A film in which an agent walks to and fro, and episodes end at some steps."""
    film = Film(title, horizon)
    episode = 1
    for t in range(horizon + 1):
        picture = keep(draw(["S   "], agent=t % 4))
        ended = "terminated" if t in ends else ""
        film.shots.append(Shot(picture, episode, t, -t, reward=-1.0, starts=t == 0, ended=ended))
        if ended and t < horizon:
            episode += 1
            film.shots.append(Shot(keep(draw(["S   "], agent=0)), episode, t, -t, starts=True))
    return film


def test_a_run_is_filmed_and_snapshots_are_taken(rl3, runs, tmp_path):
    out = tmp_path / "film.gif"
    status, text, _ = rl3("play", runs / "lake-rl3", "--out", out, "--snapshots", 4, "--fps", 20)
    assert status == 0
    assert re.fullmatch(
        rf"RL³: total reward \d+ in 20 steps\nfilm: {out}\nsnapshots: {out.with_suffix('.png')}\n",
        text,
    )
    frames = frames_of(out)
    durations = [duration for _, duration in frames]
    n_ends = durations.count(200)
    assert len(frames) == 1 + 20 + n_ends
    assert set(durations) <= {50, 200, 3000}
    assert durations[-1] == 3000
    with Image.open(out) as gif:
        width, height = gif.size
        assert gif.info["loop"] == 0
    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.width > 3 * width
        assert sheet.height < height


def test_the_same_command_gives_the_same_film(rl3, runs, tmp_path):
    files = [tmp_path / "one.gif", tmp_path / "two.gif"]
    for file in files:
        assert rl3("play", runs / "lake-rl3", "--out", file)[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    rl3("play", runs / "lake-rl3", "--out", files[1], "--task", 1)
    assert files[0].read_bytes() != files[1].read_bytes()


def test_counts_change_the_film_only_if_asked_for(rl3, runs, tmp_path):
    plain, counted = tmp_path / "plain.gif", tmp_path / "counted.gif"
    rl3("play", runs / "grid", "--out", plain)
    rl3("play", runs / "grid", "--out", counted, "--counts")
    (first, _), *_ = frames_of(plain)
    (first_counted, _), *_ = frames_of(counted)
    above_the_legend = slice(0, 13 * 40)
    np.testing.assert_array_equal(first[above_the_legend], first_counted[above_the_legend])
    assert (frames_of(plain)[10][0] != frames_of(counted)[10][0]).any()


def test_counts_are_in_the_panel_of_an_agent_without_a_learner_too(rl3, runs, tmp_path):
    plain, counted = tmp_path / "plain.gif", tmp_path / "counted.gif"
    rl3("play", runs / "lake-rl2", "--out", plain)
    rl3("play", runs / "lake-rl2", "--out", counted, "--counts")
    one, two = frames_of(plain)[10][0], frames_of(counted)[10][0]
    assert (one[:400] != two[: len(one)][:400]).any()


def test_the_task_is_of_the_variation_that_is_named(rl3, runs, tmp_path):
    files = [tmp_path / "canonical.gif", tmp_path / "dense.gif"]
    for file in files:
        assert rl3("play", runs / "grid", "--out", file, "--variation", file.stem)[0] == 0
    (canonical, _), (dense, _) = (frames_of(file)[0] for file in files)
    assert (canonical != dense).any()


def test_two_runs_are_shown_side_by_side(rl3, runs, tmp_path):
    single, double = tmp_path / "single.gif", tmp_path / "double.gif"
    assert rl3("play", runs / "lake-rl2", "--out", single)[0] == 0
    status, text, _ = rl3("play", runs / "lake-rl2", runs / "lake-rl3", "--out", double)
    assert status == 0
    assert [line.split(":")[0] for line in text.splitlines()] == ["RL²", "RL³", "film"]
    (left, _), *_ = frames_of(single)
    (both, _), *_ = frames_of(double)
    above = slice(0, 4 * 96 + 34)  # the legend below explains values too
    np.testing.assert_array_equal(both[above, : left.shape[1]], left[above])
    assert both.shape[1] > 1.9 * left.shape[1]


def test_runs_of_other_variations_meet_in_one_that_is_named(rl3, runs, tmp_path):
    out = tmp_path / "film.gif"
    both = runs / "lake-rl3", runs / "lake-slippery"
    assert rl3("play", *both, "--out", out, "--variation", "slippery")[0] == 0
    assert out.exists()


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["bandit"], [], "domain with pictures (gridworld, frozen-lake), got"),
        (["nowhere"], [], "`DIR` must be the folder of a run"),
        (["lake-rl3", "grid"], [], "`DIR` must be runs of one domain, got frozen-lake in"),
        (["lake-rl3", "lake-8"], [], "`DIR` must be runs of one size, got 4 in"),
        (["lake-rl3", "lake-long"], [], "`DIR` must be runs of one horizon, got 20 in"),
        (["lake-rl3", "lake-slippery"], [], "`DIR` must be runs of one variation, got canonical"),
        (["lake-rl3"], ["--task", -1], "`task` must be an integer of at least 0, got -1"),
        (["lake-rl3"], ["--task", 2**63], "`--task` must be at most 2147483648, got 9223372036"),
        (["lake-rl3"], ["--fps", 0], "`--fps` must be in [0.1, 50], got 0.0"),
        (["lake-rl3"], ["--fps", "nan"], "`--fps` must be in [0.1, 50], got nan"),
        (["lake-rl3"], ["--snapshots", 21], "`--snapshots` must be at most the 20 steps"),
        (["lake-rl3"], ["--out", "film.mp4"], "`--out` must end in .gif, got film.mp4"),
        (
            ["lake-rl3"],
            ["--out", "no/film.gif"],
            "`--out` must be in an existing folder, got no/film.gif",
        ),
        (["lake-rl3"], ["--ood"], "`variation` must be one of canonical, slippery, got 'ood'"),
    ],
)
def test_what_cannot_be_filmed_is_one_line_and_leaves_no_file(
    rl3, runs, tmp_path, monkeypatch, names, options, message
):
    monkeypatch.chdir(tmp_path)
    status, _, error = rl3("play", *(runs / name for name in names), *options)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------- frames


def test_names_of_another_number_of_actions_are_refused_before_anything_is_filmed(
    runs, tmp_path, monkeypatch, capsys
):
    lakes = replace(DOMAINS["frozen-lake"], action_names=("left", "right"))
    monkeypatch.setitem(DOMAINS, "frozen-lake", lakes)
    assert main(["play", str(runs / "lake-rl2"), "--out", str(tmp_path / "a.gif")]) == 2
    words = "`Domain.action_names` must be a name for each of 4 actions, got ('left', 'right')"
    assert words in capsys.readouterr().err


def test_films_side_by_side_wait_for_each_others_restarts():
    one, two = film_of({2}, 4), film_of({2, 3}, 4)
    steps = [tuple((shot.step, shot.starts) for shot in shots) for shots in timeline([one, two])]
    assert steps == [
        ((0, True), (0, True)),
        ((1, False), (1, False)),
        ((2, False), (2, False)),
        ((2, True), (2, True)),
        ((3, False), (3, False)),
        ((3, False), (3, True)),
        ((4, False), (4, False)),
    ]


def test_a_gif_holds_exactly_the_frames_and_longer_where_an_episode_ends(tmp_path):
    film = film_of({2, 5}, 6)
    write_gif(tmp_path / "film.gif", [film], ("west", "south", "east", "north"), fps=10)
    frames = frames_of(tmp_path / "film.gif")
    assert [duration for _, duration in frames] == [100, 100, 400, 100, 100, 100, 400, 100, 3000]
    for (frame, _), shot in zip(frames, film.shots, strict=True):
        wanted = film_frame(["RL³"], [shot], 6, ("west", "south", "east", "north"))
        np.testing.assert_array_equal(frame, np.asarray(wanted.convert("RGB")))


def test_snapshots_are_evenly_spaced_and_show_ends_instead_of_restarts():
    film = film_of({4}, 8)
    assert [(shot.step, shot.ended) for shot in snapshots(film, 4)] == [
        (2, ""),
        (4, "terminated"),
        (6, ""),
        (8, ""),
    ]
    assert [shot.step for shot in snapshots(film, 3)] == [2, 5, 8]
