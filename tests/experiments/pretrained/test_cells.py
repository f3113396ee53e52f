import json
from dataclasses import replace
from functools import partial

import pytest

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.pretrained.cells import complete_runs, name_of, unpublished
from rl3_sb3.experiments.pretrained.publish import publish_sweep
from rl3_sb3.experiments.settings.command import command_of
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.sweeps.cell import Cell
from rl3_sb3.experiments.sweeps.specification import read_sweep


def change_settings(sweep, name, **settings):
    """Give a run's folder other settings; return what takes them back."""
    file = sweep / name / "config.json"
    before = file.read_bytes()
    values = json.loads(before)
    values["run"] |= settings
    file.write_text(json.dumps(values))
    return lambda: file.write_bytes(before)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gamma": 0.5}, "differ by their seed alone.*differ in `gamma`"),
        ({"iterations": 9}, "of a run of 144 steps as the sweep says, got 432"),
    ],
)
def test_runs_with_other_settings_are_not_mixed(sweep, request, settings, words):
    request.addfinalizer(change_settings(sweep, "bandit-h12-rl2-s1", **settings))
    with pytest.raises(InputError, match=words):
        next(complete_runs(sweep))


def test_the_settings_are_those_that_the_runs_were_trained_with(sweep, request):
    for seed in range(3):
        restore = change_settings(sweep, f"bandit-h12-rl2-s{seed}", gamma=0.5)
        request.addfinalizer(restore)
    _, cells, _ = next(complete_runs(sweep))
    assert ["--set gamma=0.5" in command_of(cell.config) for cell in cells] == [True] * 3


def test_runs_of_tasks_that_are_drawn_no_more_are_refused(sweep, request):
    file = sweep / "bandit-h12-rl2-s1" / "config.json"
    request.addfinalizer(partial(file.write_bytes, file.read_bytes()))
    file.write_text(json.dumps({**json.loads(file.read_text()), "tasks": "others"}))
    with pytest.raises(InputError, match="its code was changed"):
        next(complete_runs(sweep))


def test_the_tasks_trained_on_must_be_among_the_evaluated(sweep, request):
    file = sweep / "sweep.toml"
    before = file.read_bytes()
    request.addfinalizer(lambda: file.write_bytes(before))
    file.write_text(before.decode().replace('["canonical", "ood"]', '["ood"]'))
    with pytest.raises(InputError, match=r"evaluation\.variations"):
        next(complete_runs(sweep))


@pytest.mark.parametrize(
    ("recipe", "variant", "ending"),
    [
        ("ours", "", "rl3"),
        ("ours", "ours", "rl3"),
        ("paper", "", "rl3-paper"),
        ("paper", "paper", "rl3-paper"),
        ("paper", "long", "rl3-paper-long"),
        ("ours", "long", "rl3-long"),
        # The same as two of the above, were the recipe left out.
        ("ours", "paper", "rl3-ours-paper"),
        ("ours", "paper-long", "rl3-ours-paper-long"),
    ],
)
def test_a_name_tells_recipe_and_variant(recipe, variant, ending):
    config = RunConfig.of("bandit", horizon=12, recipe=recipe)
    cell = Cell(name="", config=config, n_tasks=1, variations=("canonical",), variant=variant)
    assert name_of(cell) == f"bandit-12-{ending}"


def test_another_folder_is_no_sweep(tmp_path):
    with pytest.raises(InputError, match="rl3 sweep"):
        next(complete_runs(tmp_path))


def test_a_cell_is_unpublished_if_no_record_has_its_seed_and_settings(sweep, tmp_path):
    cells = read_sweep(sweep / "sweep.toml")
    (tmp_path / "empty").mkdir()
    assert unpublished(cells, tmp_path / "empty") == cells
    assert len(list(publish_sweep(sweep, tmp_path / "agents"))) == 2
    assert unpublished(cells, tmp_path / "agents") == []
    other = replace(cells[0], config=replace(cells[0].config, seed=7))
    longer = replace(cells[1], config=replace(cells[1].config, iterations=9))
    assert unpublished([*cells, other, longer], tmp_path / "agents") == [other, longer]
