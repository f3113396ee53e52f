import json

import numpy as np
import pytest

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.pretrained.record import CellRecord, SeedRecord, read_record
from rl3_sb3.experiments.runs.run_directory import RECORD_FILE


def test_a_record_is_read_as_it_was_written_to_three_decimals(tmp_path):
    rng = np.random.default_rng(0)
    run = SeedRecord(
        seed=2,
        command="rl3 train bandit --seed 2",
        provenance=[{"commit": "a", "hardware": "b"}],
        n_steps=100,
        seconds=12.3,
        curve=np.round(rng.normal(size=(5, 2)), 3),
        returns={"ood": {"sampled": rng.normal(size=7), "greedy": np.arange(7.0)}},
        by_step={"ood": {"sampled": rng.normal(size=3), "greedy": rng.normal(size=3)}},
    )
    record = CellRecord(
        name="bandit-3-rl3",
        settings={"domain": "bandit"},
        exported=2,
        weights="float16",
        oracle={"ood": rng.normal(size=7)},
        runs=[run],
    )
    record.write(tmp_path)
    again = read_record(tmp_path)
    assert again.exported_run.seed == 2
    assert again.exported_run.provenance == run.provenance
    np.testing.assert_array_equal(again.runs[0].curve, run.curve)
    for stored, before in (
        (again.oracle, record.oracle),
        (again.exported_run.returns["ood"], run.returns["ood"]),
        (again.exported_run.by_step["ood"], run.by_step["ood"]),
    ):
        assert stored.keys() == before.keys()
        for name in stored:
            np.testing.assert_allclose(stored[name], before[name], atol=0.0005)
    # What was read is written with the same bytes.
    text = (tmp_path / RECORD_FILE).read_bytes()
    again.write(tmp_path)
    assert (tmp_path / RECORD_FILE).read_bytes() == text
    assert b"[0,1,2,3,4,5,6]" in text


def test_an_unknown_oracle_is_stored_as_null_and_read_as_nan(tmp_path):
    plays = {"sampled": np.arange(2.0), "greedy": np.arange(2.0)}
    run = SeedRecord(
        seed=0,
        command="",
        provenance=[],
        n_steps=1,
        seconds=1,
        curve=np.ones((1, 2)),
        returns={"canonical": plays},
        by_step={"canonical": {}},
    )
    CellRecord(
        name="a",
        settings={},
        exported=0,
        weights="float16",
        oracle={"canonical": np.full(2, np.nan)},
        runs=[run],
    ).write(tmp_path)
    assert '"oracle":{"canonical":[null,null]}' in (tmp_path / RECORD_FILE).read_text()
    np.testing.assert_array_equal(read_record(tmp_path).oracle["canonical"], [np.nan, np.nan])


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "a"}', '{"name": 1, "runs": 2}'])
def test_another_file_is_no_record(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(InputError, match="rl3 publish"):
        read_record(tmp_path)


def without_a_task(values):
    values["runs"][0]["returns"]["ood"]["greedy"].pop()


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values.update(exported=7),
        lambda values: values["runs"].clear(),
        lambda values: values["runs"][0]["returns"].pop("ood"),
        lambda values: values["runs"][0]["returns"]["ood"].pop("greedy"),
        without_a_task,
        # What cannot be written again, or would be lost where other seeds join.
        lambda values: values["runs"].append(values["runs"][0]),
        lambda values: values["runs"].append({**values["runs"][0], "seed": "3"}),
        lambda values: values["runs"][0]["returns"]["ood"].update(greedy=[None] * 7),
        lambda values: values["runs"][0].update(seconds=None),
        lambda values: values["runs"][0].update(provenance=None),
        lambda values: values["runs"][0].update(curve=[]),
        lambda values: values.update(settings="paper"),
    ],
)
def test_a_record_that_lacks_something_is_refused(tmp_path, damage):
    plays = {"sampled": np.arange(7.0), "greedy": np.arange(7.0)}
    run = SeedRecord(
        seed=2,
        command="",
        provenance=[],
        n_steps=1,
        seconds=1,
        curve=np.ones((1, 2)),
        returns={"ood": plays},
        by_step={"ood": {}},
    )
    CellRecord(
        name="a",
        settings={},
        exported=2,
        weights="float16",
        oracle={"ood": np.arange(7.0)},
        runs=[run],
    ).write(tmp_path)
    values = json.loads((tmp_path / RECORD_FILE).read_text())
    damage(values)
    (tmp_path / RECORD_FILE).write_text(json.dumps(values))
    with pytest.raises(InputError, match="rl3 publish"):
        read_record(tmp_path)


def test_a_folder_without_a_record_is_named(tmp_path):
    with pytest.raises(InputError, match=r"record\.json"):
        read_record(tmp_path)
