import json

import numpy as np

from rl3_sb3.experiments.results.curves import wall_time
from rl3_sb3.experiments.runs.metrics import (
    COLUMNS,
    RETURN,
    SECONDS,
    STEPS,
    MetricsFile,
    last_row,
    plain_number,
    read_metrics,
)


def test_a_number_is_written_alike_before_and_after_it_went_through_a_checkpoint(tmp_path):
    logged = {RETURN: np.float32(0.1), "train/kl": 1 / 3, "train/actor_epochs": 8}
    stored = json.loads(json.dumps({name: plain_number(logged[name]) for name in logged}))
    texts = []
    for name, numbers in (("before.csv", logged), ("after.csv", stored)):
        metrics = MetricsFile(tmp_path / name)
        metrics.write(numbers, {}, 48)
        metrics.close()
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
    assert b"48," in texts[0]
    assert b",8," in texts[0]


def test_a_metrics_file_begins_with_the_text_that_it_is_given(tmp_path):
    first = MetricsFile(tmp_path / "metrics.csv")
    first.write({RETURN: 1.5}, {}, 48)
    text = first.text()
    first.write({RETURN: 2.5}, {}, 96)
    first.close()
    second = MetricsFile(tmp_path / "metrics.csv", text)
    assert second.text() == text
    second.write({RETURN: 3.5}, {}, 96)
    second.close()
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    assert [line.split(",")[:3] for line in lines[1:]] == [["48", "", "1.5"], ["96", "", "3.5"]]
    assert COLUMNS[0] == STEPS


def test_the_clock_goes_on_in_the_next_process(tmp_path, monkeypatch):
    clock = iter((100.0, 105.0, 109.25, 109.5, 7.0, 19.0, 37.0))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    metrics = MetricsFile(tmp_path / "metrics.csv")
    for _ in range(2):
        metrics.write({RETURN: 1.5, SECONDS: 77}, {}, 48)
    seconds = metrics.seconds  # when the checkpoint was written
    metrics.close()
    metrics = MetricsFile(tmp_path / "metrics.csv", metrics.text(), seconds)
    for _ in range(2):
        metrics.write({RETURN: 1.5, SECONDS: 77}, {}, 96)
    metrics.close()
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row[SECONDS] for row in rows] == [5, 9.2, 21.5, 39.5]
    assert wall_time(rows) == 39.5


def test_the_last_whole_row_can_be_read_while_the_next_is_written(tmp_path):
    path = tmp_path / "metrics.csv"
    assert last_row(path) is None
    metrics = MetricsFile(path)
    assert last_row(path) is None, "there is but a header"
    for i in range(1, 40):  # more than is read
        metrics.write({RETURN: i / 8, "time/time_elapsed": 1e-300 / 3}, {}, 48 * i)
        assert last_row(path) == (48 * i, i / 8)
    metrics.close()
    with path.open("a") as file:
        file.write("1920,0.3,5")
    assert last_row(path) == (48 * 39, 39 / 8)
