import copy
import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import vamdp
from vamdp import TabularMDP, TaskEnv
from vamdp.domains import GridWorlds
from vamdp.domains.grids.picture import AGENT_COLOUR, BORDER_COLOUR, TILE_COLOURS, draw
from vamdp.shell import install_command

pytest.importorskip("PIL")

CORRIDOR = TabularMDP.from_grid(["S G"], slip=0.0)
EAST, WEST = 2, 4
SETTINGS = {"task_horizon": 10, "gamma": 0.95, "smoothing": 0.01}


def corridor(render_mode="ansi", feature_scale=3.0):
    return TaskEnv(lambda rng: CORRIDOR, feature_scale=feature_scale, render_mode=render_mode)


def marked(rows, cell):
    """The rows with the cell in red."""
    return rows[:cell] + f"\x1b[41m{rows[cell]}\x1b[0m" + rows[cell + 1 :]


def test_ansi_shows_where_the_agent_is_also_when_the_episode_has_ended():
    env = corridor()
    env.reset(seed=0)
    seen = [env.render(), *(bool(env.step(EAST)) and env.render() for _ in range(2))]
    assert seen == [marked("S G", cell) + "\n" for cell in (0, 1, 2)]
    env.reset()
    assert env.render() == seen[0]


@pytest.mark.parametrize("feature_scale", [3.0, None])
def test_inside_a_value_augment_the_values_after_learning_are_shown(feature_scale):
    env = vamdp.ValueAugment(corridor(feature_scale=feature_scale), **SETTINGS)
    env.reset(seed=0)
    assert env.render() == marked("S G", 0) + "\n\n      .      .      .\n"
    env.step(EAST)
    env.step(EAST)
    keys = [(1, 1), (1, 2)] if feature_scale else [0, 1]
    values = [env.estimator.value(key) for key in keys]
    assert min(values) > 50  # the goal is worth 100
    rows = f"{values[0]:7.1f}{values[1]:7.1f}      ."  # nobody lives in the goal
    assert env.render() == marked("S G", 2) + f"\n\n{rows}\n"
    env.unwrapped.grid_view.show_counts = True
    assert env.render() == marked("S G", 2) + f"\n\n{rows}\n\n   1   1   .\n"
    assert env.unwrapped.render() == marked("S G", 2) + "\n"


def test_a_new_task_forgets_the_values_shown():
    env = vamdp.ValueAugment(corridor(), **SETTINGS)
    env.reset(seed=0)
    env.step(EAST)
    env.step(EAST)
    assert env.render().count(" .") == 1
    env.reset(seed=1)
    assert env.render().count(" .") == 3


@pytest.mark.parametrize("outer", [vamdp.MetaEpisode, gymnasium.wrappers.TimeLimit])
def test_wrappers_inside_and_outside_pass_the_values_on(outer):
    inner = gymnasium.wrappers.TimeLimit(gymnasium.wrappers.OrderEnforcing(corridor()), 50)
    env = outer(vamdp.ValueAugment(inner, **SETTINGS), 9)
    env.reset(seed=0)
    env.step(EAST)
    assert len(env.render().splitlines()) == 3


def test_changed_observations_are_not_asked_about():
    space = gymnasium.spaces.Box(0, 9, (3,), np.float32)
    env = gymnasium.wrappers.TransformObservation(
        corridor(), lambda observation: np.append(observation, np.float32(7)), space
    )
    env = vamdp.ValueAugment(env, state_key=lambda o: tuple(o.tolist()), **SETTINGS)
    env.reset(seed=0)
    env.step(EAST)
    assert env.render() == marked("S G", 1) + "\n"


def test_clustered_tiles_show_their_clusters_value():
    env = vamdp.ValueAugment(corridor(), cluster_size=2, **SETTINGS)
    env.reset(seed=0)
    env.step(EAST)
    first, second, _ = env.render().splitlines()[2].split()
    assert first == second


def test_an_injected_learner_shows_its_values():
    class Seventeen:
        def update(self, *_, **__): ...

        def forget(self): ...

        def q_values(self, state):
            return np.array([3.0, 17.0, 5.0, 0.0, 0.0])

        def counts(self, state):
            return np.zeros(5, int)

    env = vamdp.ValueAugment(corridor(), task_horizon=3, estimator=Seventeen())
    env.reset(seed=0)
    assert env.render().splitlines()[2].split() == ["17.0"] * 3


@pytest.mark.parametrize("estimator", ["model-based", "q-learning", "own"])
def test_bins_that_adapt_to_the_data_show_their_values(estimator):
    def make(bins):
        learner = vamdp.ValueEstimator(5, task_horizon=10) if estimator == "own" else estimator
        env = vamdp.ValueAugment(
            corridor(), task_horizon=10, estimator=learner, state_key=vamdp.StateBins(3, **bins)
        )
        env.reset(seed=0)
        for action in (EAST, EAST):
            env.step(action)
        env.reset()
        return env.render()

    # The first two cells, which are left by steps.
    known, grown = (make(bins).split()[2:4] for bins in ({"low": 0.0, "high": 1.0}, {}))
    assert float(known[1]) > 50
    assert grown == known


def test_an_attribute_of_the_same_name_is_no_picture():
    class Maze(gymnasium.Wrapper):
        grid_view, state_key = 7, "position"  # how many cells the agent sees, and how states look

    env = vamdp.ValueAugment(Maze(gymnasium.make("FrozenLake-v1")), task_horizon=5)
    env.reset(seed=0)
    assert env.env.grid_view == 7


def test_rgb_arrays_show_the_grid_the_agent_and_the_values():
    env = vamdp.ValueAugment(
        gymnasium.make("vamdp/GridWorld-v0", render_mode="rgb_array"), **SETTINGS
    )
    env.reset(seed=0)
    grid = env.unwrapped.task.grid
    start = "".join(grid).index("S")
    np.testing.assert_array_equal(env.render(), draw(grid, agent=start))
    n = len(env.render()) // 11
    env.step(0)  # stays
    picture = env.render()
    changed = np.argwhere((picture != draw(grid, agent=start)).any(axis=2)) // n
    assert {tuple(cell) for cell in changed.tolist()} == {(start // 11, start % 11)}
    r, c = start // 11, start % 11
    assert tuple(picture[r * n + n // 2, c * n + n // 5]) == AGENT_COLOUR
    obstacle = "".join(grid).index("O")
    y, x = obstacle // 11 * n + n // 2, obstacle % 11 * n + n // 2
    assert tuple(picture[y, x]) == TILE_COLOURS["O"]


@pytest.mark.parametrize("pop", [True, False])
def test_frames_are_collected_with_values(pop):
    env = gymnasium.make("vamdp/GridWorld-v0", render_mode="rgb_array")
    env = vamdp.ValueAugment(env, **SETTINGS)
    env = gymnasium.wrappers.RenderCollection(env, pop_frames=pop)
    env.reset(seed=0)
    for _ in range(5):
        env.step(1)
    frames = env.render()
    assert len(frames) == 6
    grid = env.unwrapped.task.grid
    places = {draw(grid, agent=s).tobytes() for s in range(121)}
    assert [frame.tobytes() in places for frame in frames] == [True] + [False] * 5


@pytest.mark.parametrize("kwargs", [{}, {"size": 13, "variation": "watery"}])
def test_gymnasium_finds_nothing_wrong_with_the_pictures(kwargs, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pytest.importorskip("pygame")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # pygame's own, of its packaging
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="pygame")
        check_env(gymnasium.make("vamdp/GridWorld-v0", **kwargs).unwrapped)


def test_rendering_without_a_mode_warns_and_returns_nothing():
    env = TaskEnv(lambda rng: CORRIDOR)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render mode"):
        assert env.render() is None


def test_rendering_without_a_task_is_refused():
    with pytest.raises(ResetNeeded, match="no task yet"):
        corridor().render()


def test_a_task_without_a_grid_is_not_rendered():
    env = corridor(feature_scale=None)
    env.reset(options={"task": TabularMDP.from_dense(np.ones((3, 5, 3)) / 3, np.zeros((3, 5)))})
    with pytest.raises(ValueError, match="`task` must have a grid to be rendered"):
        env.render()


def test_a_task_that_was_set_shows_no_agent_before_the_reset():
    env = corridor()
    env.reset(seed=0)
    env.set_task(CORRIDOR)
    assert env.render() == "S G\n"


def test_nothing_is_loaded_for_pictures_that_nobody_asks_for():
    code = """
import sys, gymnasium, vamdp
env = gymnasium.make("vamdp/GridWorld-v0", render_mode="rgb_array")
env = vamdp.ValueAugment(env, task_horizon=9)
env.reset(seed=0)
env.step(0)
print([m for m in ("PIL", "pygame") if m in sys.modules])
env.render()
print([m for m in ("PIL", "pygame") if m in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines() == ["[]", "['PIL']"], result.stderr


def test_an_unknown_mode_is_refused():
    with pytest.raises(
        ValueError, match=r"must be None or one of ansi, rgb_array, human, got 'svg'"
    ):
        TaskEnv(GridWorlds(), render_mode="svg")


# -------------------------------------------------------------------- windows


@pytest.fixture
def pygame(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("vamdp.domains.grids.view.RENDER_FPS", 1000)
    module = pytest.importorskip("pygame")
    yield module
    module.display.quit()


@pytest.fixture
def shown(pygame, monkeypatch):
    """What the window showed, one picture per update."""
    pictures = []
    update = pygame.display.update

    def noted():
        surface = pygame.display.get_surface()
        pictures.append(pygame.surfarray.array3d(surface).swapaxes(0, 1))
        update()

    monkeypatch.setattr(pygame.display, "update", noted)
    return pictures


def test_a_window_follows_resets_and_steps_once_each(shown):
    env = corridor("human")
    env.reset(seed=0)
    env.step(EAST)
    env.step(EAST)
    expected = [draw(["S G"], agent=cell) for cell in (0, 1, 2)]
    for picture, wanted in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(picture, wanted)
    env.close()


def test_a_window_shows_what_was_learned_in_the_same_step_and_is_drawn_once(shown):
    env = vamdp.ValueAugment(corridor("human"), **SETTINGS)
    twin = vamdp.ValueAugment(corridor("rgb_array"), **SETTINGS)
    expected = []
    for each in (env, twin):
        meta = vamdp.MetaEpisode(each, 5)
        meta.reset(seed=0)
        expected.append(each.render() if each is twin else None)
        for action in (EAST, WEST, EAST):
            meta.step(action)
            expected.append(each.render() if each is twin else None)
    for picture, wanted in zip(shown, expected[4:], strict=True):
        np.testing.assert_array_equal(picture, wanted)
    env.close()


def test_closing_closes_the_window_and_may_be_repeated(pygame):
    env = corridor("human")
    env.close()
    env.reset(seed=0)
    assert pygame.display.get_surface() is not None
    env.close()
    env.close()
    assert not pygame.display.get_init()
    env.reset()  # opens another
    assert pygame.display.get_surface() is not None
    env.close()


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["copy", "pickle"],
)
def test_an_environment_with_a_window_can_be_copied(pygame, duplicate):
    distribution = GridWorlds()
    env = TaskEnv(distribution, render_mode="human")
    env.reset(seed=0)
    twin = duplicate(env)
    assert twin.step(1)[1] == env.step(1)[1]
    env.close()


def test_without_pygame_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the command differs within a checkout
    code = """
import sys
sys.modules["pygame"] = None
import gymnasium, vamdp
try:
    gymnasium.make("vamdp/GridWorld-v0", render_mode="human").reset(seed=0)
except gymnasium.error.DependencyNotInstalled as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == (
        f"pygame is not installed: for a window run {install_command('render')}."
    ), result.stderr


@pytest.mark.parametrize("env_id", ["vamdp/GridWorld-v0", "vamdp/FrozenLake-v0"])
def test_gymnasium_collects_frames_if_asked_for_lists(env_id):
    env = gymnasium.make(env_id, render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(1)
    frames = env.render()
    assert len(frames) == 2 and frames[0].ndim == 3


def test_masked_actions_are_left_out_of_the_values_shown():
    env = vamdp.TaskEnv(
        lambda rng: vamdp.TabularMDP.from_grid(["SG"], slip=0.0), render_mode="ansi"
    )
    env = vamdp.ValueAugment(env, task_horizon=5)
    env.reset(seed=0)
    env.step(2)  # the goal: +100
    seen = env.render()
    assert "100" in seen
    env.estimator.set_action_mask(0, [True, True, False, True, True])
    env.estimator.update(0, 0, -1.0, 0, False)
    assert env.estimator.value(0) < 50
    assert f"{env.estimator.value(0):.1f}" in env.render()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile_size": 7}, "`tile_size` must be at least 8, got 7"),
        ({"scale": 0.0}, "`scale` must be above 0, got 0.0"),
    ],
)
def test_pictures_that_cannot_be_drawn_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw(["SG"], **arguments)


def test_pictures_show_the_borders_of_clusters_and_none_without_them():
    def borders(**options):
        env = gymnasium.make("vamdp/GridWorld-v0", render_mode="rgb_array")
        env = vamdp.ValueAugment(env, **{**SETTINGS, **options})
        env.reset(seed=0)
        for action in (1, 2, 1, 2):
            env.step(action)
        return (env.render() == BORDER_COLOUR).all(axis=2).any()

    assert borders(cluster_size=2)
    assert not borders()
