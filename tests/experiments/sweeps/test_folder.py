import re
from dataclasses import replace
from pathlib import Path

import pytest

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.folder import SweepFolder
from rl3_sb3.experiments.sweeps.specification import read_sweep


@pytest.fixture
def open_sweep(small_sweep, tmp_path):
    """Return a function that opens the small sweep with some of its text replaced."""
    original = small_sweep.read_text()

    def open_(old="", new=""):
        assert old in original
        small_sweep.write_text(original.replace(old, new) if old else original)
        content = small_sweep.read_bytes()
        return SweepFolder(tmp_path / "out").opened(content, read_sweep(small_sweep), 60.0)

    return open_


def test_the_token_exists_within_the_block_and_has_a_new_name_each_time(open_sweep):
    tokens = []
    for _ in range(2):
        with open_sweep() as order:
            assert order.token.is_file()
            assert order.token.parent == order.out
            tokens.append(order.token)
        assert not order.token.exists()
    assert tokens[0] != tokens[1]


def test_own_code_is_told_with_the_setting_that_names_it(small_sweep, tmp_path):
    learner = "vamdp.baselines.grids:GRID_BELIEFS"
    text = small_sweep.read_text().replace('"rl2", "rl3"', '"rl3"')
    text = text.replace('"bandit"', '"gridworld"')
    small_sweep.write_text(text.replace("[settings]", f'[settings]\nestimator = "{learner}"'))
    cells = read_sweep(small_sweep)
    with SweepFolder(tmp_path / "out").opened(small_sweep.read_bytes(), cells, 60.0) as order:
        assert order.own_code == (("estimator", learner),)


def test_the_token_of_a_command_that_was_killed_is_removed(open_sweep):
    with open_sweep() as order:
        pass
    order.token.touch()
    with open_sweep():
        assert not order.token.exists()


def test_nobody_else_runs_the_sweep_within_the_block(open_sweep):
    with (
        open_sweep(),
        pytest.raises(InputError, match="that no other process uses"),
        open_sweep(),
    ):
        pass


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seeds = [0, 1]", "seeds = [1, 0, 2]"),
        ('["bandit"]', '["random-mdp", "bandit"]'),
        ("tasks = 4", 'tasks = 5\nvariations = ["ood", "canonical"]'),
        ("[settings]", "# a remark\n[settings]"),
    ],
)
def test_a_sweep_may_grow_and_is_stored_as_it_is_then(open_sweep, tmp_path, old, new):
    with open_sweep():
        pass
    with open_sweep(old, new):
        pass
    assert new in (tmp_path / "out" / "sweep.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1]", "seeds = [0, 2]", "`FILE` must have the cell bandit-h6-rl2-s1, which"),
        ("iterations = 3", "iterations = 4", "`iterations` of bandit-h6-rl2-s0 must be 3 as in"),
        ("tasks = 4", "tasks = 3", "`evaluation.tasks` of .* must be at least 4 as in .*, got 3"),
        (
            "tasks = 4",
            'tasks = 4\nvariations = ["ood"]',
            "`evaluation.variations` of .* must be with canonical as in",
        ),
    ],
)
def test_a_file_that_contradicts_the_stored_one_is_refused(open_sweep, tmp_path, old, new, message):
    with open_sweep():
        pass
    stored = tmp_path / "out" / "sweep.toml"
    before = stored.read_bytes()
    with pytest.raises(InputError, match=message), open_sweep(old, new):
        pass
    assert stored.read_bytes() == before


def test_a_run_that_began_with_former_defaults_is_not_taken_for_one_of_today(open_sweep, tmp_path):
    with open_sweep():
        pass
    cell = read_sweep(tmp_path / "small.toml")[0]
    folder, stored = tmp_path / "out" / cell.name, tmp_path / "out" / "sweep.toml"
    config = cell.config
    given = {name: getattr(config, name) for name in ("iterations", "n_envs", "batch_size")}
    former = RunConfig.of("bandit", recipe="paper", horizon=6, algo="rl2", **given)
    RunDirectory(folder).begin(replace(former, iterations=9))  # prolonged by hand
    message = f"`recipe` of {cell.name} must be paper as in {folder / 'config.json'}, got ours"
    for change in ((), ("seeds = [0, 1]", "seeds = [0, 1, 2]")):
        with pytest.raises(InputError, match=re.escape(message)), open_sweep(*change):
            pass
    told = ("[settings]", '[settings]\nrecipe = "paper"')
    stored.write_text(stored.read_text().replace(*told))
    with open_sweep(*told):
        pass


def test_a_folder_with_other_contents_is_left_alone(open_sweep, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("dear")
    with (
        pytest.raises(InputError, match=r"`--out` must be a new folder.* no sweep.toml"),
        open_sweep(),
    ):
        pass
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_what_a_kill_left_before_the_sweep_was_stored_is_no_obstacle(open_sweep, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lock").touch()
    (tmp_path / "out" / ".sweep.toml.123.tmp").write_text("seeds = [")
    with open_sweep():
        pass
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["lock", "sweep.toml"]


def test_cells_are_told_an_absolute_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = SweepFolder(Path("x"))
    assert folder.path == tmp_path.resolve() / "x"
