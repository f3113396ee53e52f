import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import evaluate
from rl3_sb3.experiments.pretrained import publish
from rl3_sb3.experiments.pretrained.agents import published_agents
from rl3_sb3.experiments.pretrained.joining import has_its_policy
from rl3_sb3.experiments.pretrained.listing import pretrained_table, read_records
from rl3_sb3.experiments.pretrained.publish import check_sweeps, publish_sweep
from rl3_sb3.experiments.pretrained.record import read_record
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.policy_files.folder import export_policy, load_policy


@pytest.fixture(scope="module")
def published(sweep, tmp_path_factory):
    out = tmp_path_factory.mktemp("published")
    return out, list(publish_sweep(sweep, out))


def test_a_record_holds_every_seed_of_a_cell(published, sweep):
    out, done = published
    assert [(record.name, n_missing) for record, n_missing in done] == [
        ("bandit-12-rl2", 0),
        ("bandit-12-rl3", 0),
    ]
    record = read_record(out / "bandit-12-rl3")
    assert [run.seed for run in record.runs] == [0, 1, 2]
    for run in record.runs:
        directory = RunDirectory(sweep / f"bandit-h12-rl3-s{run.seed}")
        assert run.command.startswith("rl3 train bandit --algo rl3 --horizon 12 --seed")
        assert f"--seed {run.seed} " in run.command
        assert run.provenance == directory.config_file.provenance()
        assert run.n_steps == 144
        np.testing.assert_array_equal(run.curve[:, 0], [48, 96, 144])
        if run.seed != record.exported:
            for variation in ("canonical", "ood"):
                evaluation = directory.read_evaluation(variation)
                for play in ("sampled", "greedy"):
                    returns = evaluation.score_of(play).returns
                    np.testing.assert_array_equal(run.returns[variation][play], returns)
                np.testing.assert_allclose(record.oracle[variation], evaluation.oracle, atol=0.0005)


def test_the_median_seed_is_exported(published):
    for record, _ in published[1]:
        means = {run.seed: run.mean("canonical", "sampled") for run in record.runs}
        below = sum(mean < means[record.exported] for mean in means.values())
        above = sum(mean > means[record.exported] for mean in means.values())
        assert below <= 1
        assert above <= 1


def test_the_exported_policy_gets_what_the_record_says(published):
    out, done = published
    for record, _ in done:
        directory = RunDirectory(out / record.name)
        config = directory.config_file.read()
        assert config.seed == record.exported
        policy = load_policy(directory.policy_folder, "cpu")
        for variation, plays in record.exported_run.returns.items():
            again = evaluate(config, policy, n_training_steps=0, n_tasks=6, variation=variation)
            for play, returns in plays.items():
                np.testing.assert_allclose(again.score_of(play).returns, returns, atol=0.0005)


def test_the_policy_is_without_its_critic_and_in_half_precision(published):
    out, done = published
    (record, _), *_ = done
    assert record.weights == "float16"
    described = json.loads((out / record.name / "policy" / "policy.json").read_text())
    assert described["training"]["results"].keys() >= {"total reward, ood, greedy"}
    policy = load_policy(out / record.name / "policy", "cpu")
    assert policy.critic is None


def test_a_policy_that_half_precision_changes_keeps_its_own(sweep, tmp_path, monkeypatch):
    answers = iter([False])  # of float16
    monkeypatch.setattr(publish, "_is_close", lambda one, other: next(answers, True))
    record, _ = next(publish_sweep(sweep, tmp_path))
    assert record.weights == "float32"
    before = load_policy(sweep / f"bandit-h12-rl2-s{record.exported}" / "policy", "cpu")
    after = load_policy(tmp_path / record.name / "policy", "cpu")
    own = before.state_dict()
    assert all(own[name].equal(value) for name, value in after.state_dict().items())


def test_scores_are_close_within_a_tenth_of_their_error(published, sweep):
    evaluation = RunDirectory(sweep / "bandit-h12-rl2-s0").read_evaluation("canonical")
    score = evaluation.score_of("greedy")
    error = np.std(score.returns, ddof=1) / np.sqrt(6)
    for shift, close in ((0.09, True), (0.11, False)):
        moved = json.loads(json.dumps(evaluation.to_dict()))
        for entry in moved["scores"]:
            if entry["play"] == "greedy":
                entry["returns"] = [r + shift * error for r in entry["returns"]]
        assert publish._is_close(type(evaluation).from_dict(moved), evaluation) == close


def test_an_incomplete_sweep_is_published_as_far_as_it_is(sweep, tmp_path):
    for name in ("bandit-h12-rl3-s0", "bandit-h12-rl3-s1", "bandit-h12-rl3-s2"):
        (sweep / name / "evaluation-ood.json").rename(sweep / name / "kept")
    (sweep / "bandit-h12-rl2-s1" / "evaluation.json").rename(sweep / "kept")
    try:
        ((record, n_missing),) = publish_sweep(sweep, tmp_path)
        assert (record.name, n_missing) == ("bandit-12-rl2", 1)
        assert [run.seed for run in record.runs] == [0, 2]
    finally:
        for name in ("bandit-h12-rl3-s0", "bandit-h12-rl3-s1", "bandit-h12-rl3-s2"):
            (sweep / name / "kept").rename(sweep / name / "evaluation-ood.json")
        (sweep / "kept").rename(sweep / "bandit-h12-rl2-s1" / "evaluation.json")


def test_scores_that_the_policy_does_not_get_again_are_refused(sweep, tmp_path, request):
    for seed in range(3):
        file = sweep / f"bandit-h12-rl2-s{seed}" / "evaluation-ood.json"
        request.addfinalizer(partial(file.write_bytes, file.read_bytes()))
        values = json.loads(file.read_text())
        for score in values["scores"]:
            score["returns"] = [total + 1 for total in score["returns"]]
        file.write_text(json.dumps(values))
    with pytest.raises(InputError, match="does not reproduce"):
        next(publish_sweep(sweep, tmp_path))
    assert not (tmp_path / "bandit-12-rl2" / "record.json").exists()


def test_publishing_again_leaves_nothing_of_the_agent_before(sweep, tmp_path):
    next(publish_sweep(sweep, tmp_path))
    stale = tmp_path / "bandit-12-rl2" / "evaluation-ood.json"
    stale.write_text("{}")
    next(publish_sweep(sweep, tmp_path))
    assert not stale.exists()


def test_an_agent_of_another_kind_is_not_replaced(sweep, published, tmp_path):
    shutil.copytree(published[0] / "bandit-12-rl3", tmp_path / "bandit-12-rl2")
    text = (tmp_path / "bandit-12-rl2" / "record.json").read_text()
    with pytest.raises(InputError, match="same `algo`, got 'rl3' there and 'rl2' now"):
        next(publish_sweep(sweep, tmp_path))
    assert (tmp_path / "bandit-12-rl2" / "record.json").read_text() == text


def only(sweep, folder, seeds, algo="rl2"):
    """A sweep of which these runs of one cell are all that is there."""
    folder.mkdir()
    shutil.copy(sweep / "sweep.toml", folder)
    for seed in seeds:
        name = f"bandit-h12-{algo}-s{seed}"
        shutil.copytree(sweep / name, folder / name)
    return folder


@pytest.mark.parametrize("first", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_seeds_of_another_sweep_join_the_record(sweep, published, tmp_path, first):
    second = tuple(seed for seed in range(3) if seed not in first)
    out = tmp_path / "out"
    ((before, _),) = publish_sweep(only(sweep, tmp_path / "first", first), out)
    ((record, _),) = publish_sweep(only(sweep, tmp_path / "second", second), out)
    assert [run.seed for run in before.runs] == list(first)
    assert [run.seed for run in read_record(out / record.name).runs] == [0, 1, 2]
    whole = published[1][0][0]
    for run, alone in zip(record.runs, whole.runs, strict=True):
        assert run.command == alone.command
        np.testing.assert_array_equal(run.curve, alone.curve)
        returns = run.returns["ood"]["greedy"]
        if run.seed not in (whole.exported, before.exported, record.exported):  # in half precision
            np.testing.assert_array_equal(returns, alone.returns["ood"]["greedy"])
    # The median, or what is nearest to it of the policies that were not gone.
    means = [run.mean("canonical", "sampled") for run in record.runs]
    distances = np.abs(np.array(means) - np.median(means))
    at_hand = [before.exported, *second]
    assert distances[record.exported] == distances[at_hand].min()
    directory = RunDirectory(out / record.name)
    assert directory.config_file.read().seed == record.exported == record.settings["seed"]
    policy = load_policy(directory.policy_folder, "cpu")
    again = evaluate(directory.config_file.read(), policy, n_training_steps=0, n_tasks=6)
    stored = record.exported_run.returns["canonical"]["sampled"]
    np.testing.assert_allclose(again.score_of("sampled").returns, stored, atol=0.0005)


def edited(file, edit):
    values = json.loads(file.read_text())
    edit(values)
    file.write_text(text := json.dumps(values))
    return text


def test_a_seed_that_is_published_again_is_replaced_alone(sweep, tmp_path):
    out = tmp_path / "out"
    next(publish_sweep(only(sweep, tmp_path / "all", (0, 1, 2)), out))
    edited(
        out / "bandit-12-rl2" / "record.json",
        lambda values: [run.update(seconds=-1) for run in values["runs"]],
    )
    ((record, _),) = publish_sweep(only(sweep, tmp_path / "again", (1,)), out)
    assert [run.seed for run in record.runs if run.seconds == -1] == [0, 2]
    assert len(record.runs) == 3


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda values: values["settings"].update(iterations=4), "`iterations`, got 4 there and 3"),
        (
            lambda values: values["settings"]["policy_arguments"].update(d_ff=9),
            "d_ff`, got 9 there and 8",
        ),
        (
            lambda values: values["oracle"].pop("ood"),
            r"`evaluation.variations`, got \['canonical'\] there",
        ),
        (
            lambda values: values["oracle"]["ood"].__setitem__(3, 1000),
            "same ood tasks, got others",
        ),
        (
            lambda values: [
                each.pop()
                for each in (
                    values["oracle"]["ood"],
                    *(
                        run["returns"]["ood"][play]
                        for run in values["runs"]
                        for play in ("sampled", "greedy")
                    ),
                )
            ],
            "`evaluation.tasks`, got 5 there and 6",
        ),
    ],
)
def test_seeds_of_other_settings_or_tasks_do_not_join(sweep, published, tmp_path, edit, message):
    out = tmp_path / "out"
    shutil.copytree(published[0] / "bandit-12-rl2", out / "bandit-12-rl2")
    text = edited(out / "bandit-12-rl2" / "record.json", edit)
    with pytest.raises(InputError, match=message):
        next(publish_sweep(only(sweep, tmp_path / "more", (0, 1, 2)), out))
    assert (out / "bandit-12-rl2" / "record.json").read_text() == text


def _lose(folder, other):
    shutil.rmtree(folder / "policy")


def _exchange(folder, other):  # as a publication leaves it that was killed before its record
    shutil.rmtree(folder / "policy")
    shutil.copytree(other / "policy", folder / "policy")


def _damage(folder, other):
    (folder / "policy" / "policy.safetensors").write_bytes(b"")


@pytest.mark.parametrize("damage", [_lose, _exchange, _damage])
def test_a_policy_that_is_not_the_records_is_not_taken_for_it(sweep, published, tmp_path, damage):
    before = published[1][0][0]
    out = tmp_path / "out"
    shutil.copytree(published[0] / before.name, out / before.name)
    # The run farthest from the median: with its policy at hand, the one that lies there would stay.
    means = {run.seed: run.mean("canonical", "sampled") for run in before.runs}
    other = max(means, key=lambda seed: abs(means[seed] - means[before.exported]))
    more = only(sweep, tmp_path / "more", (other,))
    damage(out / before.name, more / f"bandit-h12-rl2-s{other}")
    ((record, _),) = publish_sweep(more, out)
    assert record.exported == other
    assert [run.seed for run in record.runs] == [0, 1, 2]
    directory = RunDirectory(out / before.name)
    policy = load_policy(directory.policy_folder, "cpu")
    again = evaluate(directory.config_file.read(), policy, n_training_steps=0, n_tasks=6)
    stored = record.exported_run.returns["canonical"]["greedy"]
    np.testing.assert_allclose(again.score_of("greedy").returns, stored, atol=0.0005)


def test_a_failed_publication_leaves_the_agent_before_as_it_was(sweep, published, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(published[0] / "bandit-12-rl2", out / "bandit-12-rl2")
    files = {f: f.read_bytes() for f in out.rglob("*") if f.is_file()}
    broken = only(sweep, tmp_path / "broken", (0, 1, 2))
    for file in broken.glob("*/evaluation.json"):
        edited(
            file,
            lambda values: [
                score.update(returns=[total + 1 for total in score["returns"]])
                for score in values["scores"]
            ],
        )
    with pytest.raises(InputError, match="does not reproduce"):
        next(publish_sweep(broken, out))
    assert {f: f.read_bytes() for f in out.rglob("*") if f.is_file()} == files


def test_a_copy_is_listed_under_the_name_of_its_folder(published, tmp_path):
    shutil.copytree(published[0] / "bandit-12-rl2", tmp_path / "mine")
    (row,) = (line for line in pretrained_table(tmp_path).splitlines() if line.startswith("| mine"))
    assert int(row.split("|")[-2]) > 0


def test_pretrained_agents_are_listed_and_evaluated_beside_their_record(published, capsys):
    out, done = published
    assert main(["pretrained", str(out)]) == 0
    text = capsys.readouterr().out
    for record, _ in done:
        mean = record.exported_run.mean("ood", "greedy")
        assert f"| {record.name} " in text
        assert f"{mean:.1f} ± " in text
    assert len(pretrained_table(out).splitlines()) == 2 + 2 * 2
    assert [place.name for place in read_records(out)] == ["bandit-12-rl2", "bandit-12-rl3"]
    assert main(["evaluate", str(out / "bandit-12-rl2"), "--tasks", "6", "--ood"]) == 0
    text = capsys.readouterr().out
    table, line = text.split("\n\nrecorded in the first 6 of these tasks: ")
    line, *_ = line.splitlines()
    assert "Sampled actions" not in text
    sampled, greedy = line.split(", ")
    assert f"RL², sampled | {sampled.removesuffix(' sampled')} " in table
    assert f"RL², greedy  | {greedy.removesuffix(' greedy')} " in table


def test_a_policy_of_other_steps_is_not_the_records(published, tmp_path):
    """Or a policy that was trained over the published one would be published again."""
    place = tmp_path / "bandit-12-rl3"
    shutil.copytree(published[0] / place.name, place)
    record = read_record(place)
    assert has_its_policy(place, record)
    policy = load_policy(place / "policy", "cpu")
    other = replace(policy.training_record, n_steps=48)
    export_policy(policy, place / "policy", record=other, actor_only=True)
    assert not has_its_policy(place, record)


def test_what_stands_in_the_way_is_told_before_anything_is_played(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "evaluate", lambda *args, **options: pytest.fail("played"))
    folder = tmp_path / "bandit-12-rl2" / "policy"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"got .*policy, a folder with other contents"):
        next(publish_sweep(sweep, tmp_path))
    with pytest.raises(InputError, match="`SWEEP` must be the folder of a sweep"):
        check_sweeps([sweep, tmp_path])


def test_a_folder_without_agents_is_named(tmp_path):
    with pytest.raises(InputError, match="pretrained agents"):
        read_records(tmp_path)


def test_runs_that_started_from_a_policy_say_so_and_count_its_steps(sweep, tmp_path):
    earlier = tmp_path / "earlier"
    shutil.copytree(sweep / "bandit-h12-rl3-s0", earlier)
    text = (
        (sweep / "sweep.toml")
        .read_text()
        .replace('["rl2", "rl3"]', '["rl3"]')
        .replace("[0, 1, 2]", "[0, 1]")
    )
    text = text.replace("[evaluation]", f'start_from = "{earlier.as_posix()}"\n[evaluation]')
    (tmp_path / "tiny.toml").write_text(text)
    out = tmp_path / "runs"
    words = ["sweep", str(tmp_path / "tiny.toml"), "--out", str(out), "--jobs", "1", "--only"]
    assert main([*words, "*-s0"]) == 0
    assert main(["publish", str(out), "--out", str(tmp_path / "agents")]) == 0
    (run,) = read_record(tmp_path / "agents" / "bandit-12-rl3").runs
    assert run.n_steps == 144 + 144
    assert run.start["n_steps"] == 144
    assert f"--start-from {earlier} " in f"{run.command} "
    (agent,) = published_agents(tmp_path / "agents")
    assert agent.n_training_steps == 288

    shutil.rmtree(earlier)
    shutil.copytree(sweep / "bandit-h12-rl3-s1", earlier)  # another policy at the same place
    assert main([*words, "*-s1"]) == 0
    with pytest.raises(InputError, match=r"must be of runs that started from one policy, .*0, 1"):
        list(publish_sweep(out, tmp_path / "agents"))
