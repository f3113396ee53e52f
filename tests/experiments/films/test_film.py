import gymnasium
import numpy as np
import pytest
import torch as th

import vamdp
from rl3_sb3.experiments.domains import DOMAINS, Domain
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.evaluation.evaluation import play
from rl3_sb3.experiments.films.film import Camera, make_filmed_env, record
from rl3_sb3.experiments.films.legend import seen_of
from rl3_sb3.experiments.films.panels import (
    MARGIN,
    TITLE_HEIGHT,
    caption,
    film_frame,
    keep,
    snapshot_sheet,
)
from rl3_sb3.experiments.films.shot import Film, Shot
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.domains.grids.picture import (
    AGENT_COLOUR,
    BORDER_COLOUR,
    MOST_GREY,
    MOST_VIOLET,
    TILE_COLOURS,
    draw,
)

GRIDS = {
    algo: RunConfig.of("gridworld", algo=algo, horizon=40, n_envs=2)
    for algo in ("rl2", "rl3", "rl3-coarse", "rl3-markov")
}
LAKES = RunConfig.of("frozen-lake", size=4, horizon=40, n_envs=2)
EAST, WEST = 2, 4


def first_shots(config, n):
    """The first n shots of a random walk in a held-out task."""
    film = Film(config.title, config.horizon)
    env = make_filmed_env(config, film, variation=config.variation)
    env.reset(seed=2**31)
    rng = np.random.default_rng(0)
    while len(film.shots) < n:
        env.step(int(rng.integers(env.action_space.n)))
    return film.shots[:n]


@pytest.fixture(scope="module")
def lake_policy():
    return make_model(LAKES, make_training_env(LAKES), "cpu").policy


# -------------------------------------------------------------------- the single environment


@pytest.mark.parametrize("config", [*GRIDS.values(), LAKES], ids=lambda config: config.algo)
@pytest.mark.parametrize("task", [0, 3])
def test_it_shows_and_pays_what_the_evaluations_batch_does(config, task):
    variation = "watery" if config.domain == "gridworld" else "slippery"
    single = make_filmed_env(config, Film("", config.horizon), variation=variation)
    batch = make_envs(config, 1, variation=variation)
    rng = np.random.default_rng(task)
    seen = [single.reset(seed=2**31 + task)[0]]
    expected = [batch.reset(seed=[2**31 + task])[0][0]]
    for _ in range(config.horizon):
        action = int(rng.integers(single.action_space.n))
        observation, reward, over, *_ = single.step(action)
        observations, rewards, terminated, _, infos = batch.step(np.array([action]))
        assert (reward, over) == (rewards[0], terminated[0])
        seen.append(observation)
        expected.append(infos["final_obs"][0] if over else observations[0])
    assert single.observation_space == batch.single_observation_space
    np.testing.assert_array_equal(seen, expected)


def test_a_film_has_the_evaluations_rewards_of_its_task_and_actions():
    config = GRIDS["rl3"]
    film = record(config, make_model(config, make_training_env(config), "cpu").policy, task=2)

    class Replay:
        title = "replay"
        sees = "states"

        def start(self, n_tasks, seed):
            self.t = -1

        def act(self, seen):
            self.t += 1
            return np.full(len(seen), film.actions[self.t])

        def learn(self, *transition):
            pass

    returns = play(config, Replay(), n_tasks=3, variation="canonical").returns
    assert len(film.actions) == config.horizon
    assert len(set(returns)) == 3
    assert film.total == returns[2]


def test_every_recording_is_the_same_and_leaves_torchs_generator_alone(lake_policy):
    th.manual_seed(1)
    before = th.get_rng_state()
    one = record(LAKES, lake_policy)
    assert th.equal(th.get_rng_state(), before)
    th.manual_seed(2)
    two = record(LAKES, lake_policy)
    assert [shot.action for shot in one.shots] == [shot.action for shot in two.shots]
    assert all(
        a.picture.tobytes() == b.picture.tobytes()
        for a, b in zip(one.shots, two.shots, strict=True)
    )
    assert one.actions != record(LAKES, lake_policy, task=1).actions


def test_there_is_a_shot_of_the_start_of_each_step_and_of_each_restart(lake_policy):
    film = record(LAKES, lake_policy)
    n_restarts = film.shots[-1].episode - 1
    assert n_restarts > 2
    assert len(film.shots) == 1 + LAKES.horizon + n_restarts
    assert sum(shot.starts for shot in film.shots) == 1 + n_restarts
    for shot, following in zip(film.shots, film.shots[1:], strict=False):
        assert following.starts == (shot.ended != "")
        assert following.step == shot.step + (not following.starts)
        assert (shot.action is None) == (shot.ended != "")


# -------------------------------------------------------------------- the camera


def filmed_corridor(horizon, limit=None):
    task = vamdp.TabularMDP.from_grid(["S G"], slip=0.0)
    env = vamdp.TaskEnv(lambda rng: task, feature_scale=3, render_mode="rgb_array")
    if limit is not None:
        env = gymnasium.wrappers.TimeLimit(env, limit)
    env = vamdp.ValueAugment(env, task_horizon=10, value_scale=10.0, gamma=0.95, smoothing=0.01)
    film = Film("RL³", horizon)
    return vamdp.MetaEpisode(Camera(env, film), horizon), film


def test_the_goal_is_seen_before_the_restart():
    env, film = filmed_corridor(horizon=3)
    env.reset(seed=0)
    for _ in range(3):
        env.step(EAST)
    facts = [(s.episode, s.step, s.total, s.reward, s.starts, s.ended) for s in film.shots]
    assert facts == [
        (1, 0, 0.0, 0.0, True, ""),
        (1, 1, -1.0, -1.0, False, ""),
        (1, 2, 99.0, 100.0, False, "terminated"),
        (2, 2, 99.0, 0.0, True, ""),
        (2, 3, 98.0, -1.0, False, ""),
    ]
    assert [shot.action for shot in film.shots] == [EAST, EAST, None, EAST, None]
    n = film.shots[0].picture.height

    def agent_is_at(shot):
        pixels = np.asarray(shot.picture.convert("RGB"))
        return [(pixels[n // 2, s * n + n // 4, :] == (255, 232, 31)).all() for s in range(3)]

    assert [agent_is_at(shot).index(True) for shot in film.shots] == [0, 1, 2, 0, 1]


def test_advantages_are_the_learners_of_the_present_tile():
    env, film = filmed_corridor(horizon=9)
    env.reset(seed=0)
    env.step(EAST)
    assert film.shots[0].advantages is None  # nothing is known yet
    env.step(EAST)
    env.step(WEST)
    Q = env.get_wrapper_attr("estimator").q_values((1, 1))
    assert np.ptp(Q) > 1
    np.testing.assert_allclose(film.shots[-1].advantages, Q - Q.max(), rtol=1e-5, atol=1e-5)
    assert film.shots[2].ended
    assert film.shots[2].advantages is None


def test_nothing_is_weighed_where_a_time_limit_has_ended_the_episode():
    env, film = filmed_corridor(horizon=9, limit=2)
    env.reset(seed=0)
    for _ in range(2):
        env.step(0)
    assert [shot.ended for shot in film.shots] == ["", "", "truncated", ""]
    assert [shot.advantages is None for shot in film.shots] == [True, False, True, False]


def test_without_value_estimates_there_are_no_advantages():
    assert all(shot.advantages is None for shot in first_shots(GRIDS["rl2"], 8))


def test_without_a_learner_the_camera_counts_what_a_learner_would_have_counted(monkeypatch):
    counted = {}
    for algo in ("rl2", "rl3"):
        seen = counted[algo] = []

        def look(grid, *, counts, seen=seen, **shown):
            seen.append(None if counts is None else counts.tolist())
            return draw(["S"])

        monkeypatch.setattr("vamdp.domains.grids.picture.draw", look)
        film = Film(algo, 40)
        env = make_filmed_env(GRIDS[algo], film, variation="canonical", show_counts=True)
        env.reset(seed=2**31)
        rng = np.random.default_rng(1)
        for _ in range(40):
            env.step(int(rng.integers(5)))
    assert counted["rl2"] == counted["rl3"]
    assert sum(counted["rl2"][-1]) == 40


def test_a_task_of_ones_own_on_a_grid_is_filmed_with_its_cells(monkeypatch):
    # States 0, 1, 2 lie in a row, from right to left; action 1 goes to the next, the last pays.
    P, R = np.zeros((3, 2, 3)), np.zeros((3, 2))
    for s in range(3):
        P[s, 0, s] = P[s, 1, min(s + 1, 2)] = 1.0
    R[1, 1] = 1.0
    row = vamdp.TabularMDP.from_dense(
        P, R, terminal=[False, False, True], start=[1, 0, 0], features=[[0, 2], [0, 1], [0, 0]]
    )
    monkeypatch.setitem(DOMAINS, "row", Domain(title="Row", tasks=lambda rng: row))
    config = RunConfig.of("row", horizon=5, n_envs=2)
    film = record(config, make_model(config, make_training_env(config), "cpu").policy)
    state, n = 0, film.shots[0].picture.height
    assert film.shots[0].picture.size == (3 * n, n)
    for shot in film.shots:
        if shot.starts:
            state = 0
        pixels = np.asarray(shot.picture.convert("RGB"))
        at = [(pixels[n // 2, c * n + n // 4] == (255, 232, 31)).all() for c in range(3)]
        assert at == [c == 2 - state for c in range(3)]
        goal = tuple(pixels[1, 1].tolist())
        assert goal == TILE_COLOURS["G"]
        state += shot.action or 0
    assert film.seen == ["S", "G", "agent", "values"]


# -------------------------------------------------------------------- captions


PICTURE = keep(draw(["S G"]))
GRID = ("S G", "OWX")
NAMES = ("stay", "north", "east", "south", "west")


@pytest.mark.parametrize(
    ("facts", "event"),
    [
        ({}, ""),
        ({"reward": -1.0}, ""),
        ({"reward": 100.0, "ended": "terminated"}, "goal: +100"),
        ({"reward": -100.0, "ended": "terminated"}, "danger: -100"),
        ({"reward": 0.0, "ended": "terminated"}, "hole: 0"),
        ({"reward": -1.0, "ended": "truncated"}, "time limit"),
        ({"starts": True}, "back to the start"),
    ],
)
def test_captions_tell_what_has_happened(facts, event):
    assert caption("RL³", Shot(PICTURE, 2, 41, -87.0, **facts), 350, NAMES).event == event


def test_captions_tell_episode_step_return_and_advantages():
    advantages = np.array([-12.34, 0.0, -3.21, -99.6, -1.0], np.float32)
    shot = Shot(PICTURE, 2, 41, -87.0, advantages=advantages, action=2)
    words = caption("RL³", shot, 350, NAMES)
    assert words.title == "RL³"
    assert words.facts == ("episode 2", "step 41 of 350", "return -87")
    assert words.actions == [
        ("stay", "-12"),
        ("north", "0"),
        ("east", "-3.2"),
        ("south", "-100"),
        ("west", "-1.0"),
    ]


def test_captions_of_small_advantages_have_two_decimals_and_none_are_left_out():
    shot = Shot(PICTURE, 1, 0, 3.0, starts=True, advantages=np.array([-0.25, 0.0], np.float32))
    words = caption("", shot, 9, ("west", "south"))
    assert words.actions == [("west", "-.25"), ("south", "0")]
    assert words.event == ""
    unknown = Shot(PICTURE, 1, 0, 2.5)
    words = caption("", unknown, 9, ("west", "south"))
    assert words.actions == [("west", ""), ("south", "")]
    assert words.facts == ("episode 1", "step 0 of 9", "return +2.5")
    assert words.event == ""


@pytest.mark.parametrize("width", [1000, 260])
def test_a_legend_has_a_sample_of_each_colour_within_its_width(width):
    seen = seen_of(GRID, values=True, visits=True, clusters=True)
    assert seen == ["S", "G", "O", "W", "X", "agent", "values", "visits", "clusters"]
    shot = Shot(keep(np.full((40, width, 3), 255, np.uint8)), 1, 1, 0.0)
    plain = film_frame(["RL³"], [shot], 9, NAMES)
    frame = film_frame(["RL³"], [shot], 9, NAMES, seen)
    assert frame.width == plain.width
    pixels = np.asarray(frame.convert("RGB"))
    np.testing.assert_array_equal(pixels[: plain.height], np.asarray(plain.convert("RGB")))
    strip = pixels[plain.height :].reshape(-1, 3)
    colours = [*(TILE_COLOURS[x] for x in "GOWX"), AGENT_COLOUR, MOST_VIOLET, MOST_GREY]
    for colour in (*colours, BORDER_COLOUR):
        assert (strip == colour).all(axis=1).sum() > 60, colour
    assert (strip == TILE_COLOURS["H"]).all(axis=1).sum() == 0, "no more than is to be seen"
    assert (pixels[plain.height :, -MARGIN:] == 255).all(), "cut off"


def drawn(titles, width=520, **facts):
    """The pixels of panels around a white picture of this width, without frame and legend."""
    picture = keep(np.full((40, width, 3), 255, np.uint8))
    shots = [Shot(picture, 12, 100, -100.5, **facts) for _ in titles]
    return np.asarray(film_frame(titles, shots, 100, ()).convert("RGB")).astype(int)


def test_titles_that_differ_only_at_their_end_look_different():
    settings = "recipe ours, critic_sees task, policy.d_model 8, policy.d_ff 16, policy.n_layers"
    for width in (520, 64):
        frame = drawn([f"RL³ ({settings} 1)", f"RL³ ({settings} 2)"], width)
        one, other = np.split(frame[:, MARGIN // 2 : -(MARGIN // 2)], 2, axis=1)
        assert (one != other).any()
        assert (frame[:, :MARGIN] == 255).all() and (frame[:, -MARGIN:] == 255).all()


def test_a_long_title_leaves_room_for_the_event_and_does_not_move_short_titles():
    long = "RL³ (" + "policy.d_model 8, " * 9 + "x)"
    plain, ended = (drawn([long], ended=how) for how in ("", "truncated"))
    changed = (plain != ended).any(axis=(1, 2)).nonzero()[0]
    above = plain[: changed.min()]
    assert (plain[changed] == 255).all()
    assert (above != 255).any()
    panel = 520 + MARGIN
    beside = drawn([long, "RL²"])[: above.shape[0], panel:]
    alone = drawn(["RL²"])[: TITLE_HEIGHT - 5, :panel]
    np.testing.assert_array_equal(beside[: TITLE_HEIGHT - 5, :panel], alone)


def test_in_a_sheet_rows_with_long_titles_are_whole():
    picture = keep(np.full((40, 64, 3), 0, np.uint8))
    shot = Shot(picture, 1, 1, 0.0)
    sheets = [
        np.asarray(snapshot_sheet([[(title, shot)] for title in titles], 9).convert("RGB"))
        for titles in (["RL² (policy.d_model 8, policy.n_heads 4, policy.d_ff 8)", "RL³"], ["RL³"])
    ]
    height = sheets[1].shape[0]
    np.testing.assert_array_equal(sheets[0][-height:], sheets[1])


@pytest.mark.parametrize("width", [64, 192, 520])
def test_facts_do_not_overlap_whatever_the_pictures_width(width):
    line = drawn([""], width)[TITLE_HEIGHT + 40 :]
    inked = (line != 255).any(axis=(0, 2))
    gaps = np.diff(np.flatnonzero(inked))
    assert (gaps > 10).sum() == 2  # between three facts; letters and words are nearer


def test_the_palette_keeps_the_colours_of_pictures():
    grid = ("".join(TILE_COLOURS),)
    values = np.linspace(-100, 100, len(TILE_COLOURS))
    for picture in (draw(grid), draw(grid, values=values, scale=100.0, agent=3)):
        kept = np.asarray(keep(picture).convert("RGB")).astype(int)
        off = np.abs(kept - picture).max(axis=2)
        assert (off > 4).mean() < 0.1  # edges of letters and discs
        assert off.max() < 100
        pairs = np.concatenate([picture, kept], axis=2).reshape(-1, 6)
        colours = picture.reshape(-1, 3)
        assert len(np.unique(pairs, axis=0)) == len(np.unique(colours, axis=0))  # no dithering


def test_the_chosen_action_is_the_one_marked():
    def marks(action):
        wide = keep(np.zeros((40, 500, 3), np.uint8))
        shot = Shot(wide, 1, 1, 0.0, action=action)
        frame = np.asarray(film_frame(["RL²"], [shot], 9, NAMES).convert("RGB"))
        yellow = (frame == (255, 232, 31)).all(axis=2)[-30]
        return {int(5 * (x - MARGIN) / 500) for x in np.flatnonzero(yellow)}

    assert marks(None) == set()
    assert [marks(a) for a in range(5)] == [{a} for a in range(5)]
