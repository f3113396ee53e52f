import shutil
from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from rl3_sb3.experiments.errors import RunWarning
from rl3_sb3.experiments.runs.tensorboard import TensorBoardFile
from rl3_sb3.experiments.settings.run_config import RunConfig

CONFIG = RunConfig.of(
    "bandit", horizon=10, n_envs=10, iterations=10, ent_coef="0.1:0", validate_every=5
)


def plugin_data(folder, tag):
    events = EventAccumulator(str(folder)).Reload()
    return HParamsPluginData.FromString(events.SummaryMetadata(tag).plugin_data.content)


def shown_settings(folder):
    shown = plugin_data(folder, "_hparams_/session_start_info").session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in shown.items()}


def shown_metrics(folder):
    return {i.name.tag for i in plugin_data(folder, "_hparams_/experiment").experiment.metric_infos}


def test_hparams_are_the_runs_settings_and_its_metrics_the_newest_scalars(tmp_path):
    file = TensorBoardFile(tmp_path, 0, CONFIG)
    for step, mean in ((100, 1.5), (200, 2.5)):
        values = {"rollout/ep_rew_mean": mean, "eval/mean_reward": 10 * mean}
        file.write(values, dict.fromkeys(values, ()), step)
    file.close()
    shown = shown_settings(tmp_path)
    assert shown.keys() == CONFIG.flat().keys()
    assert (shown["domain"], shown["n_envs"], shown["normalize_advantage"]) == ("bandit", 10, True)
    assert shown["ent_coef"] == "0.1:0"
    assert shown["size"] == "None"
    assert shown["estimator.reward_model"] == "state_action"
    events = EventAccumulator(str(tmp_path)).Reload()
    newest = {tag: events.Scalars(tag)[-1].value for tag in shown_metrics(tmp_path)}
    assert newest == {"rollout/ep_rew_mean": 2.5, "eval/mean_reward": 25.0}


def test_files_that_can_no_longer_be_written_are_told_once_and_stop_nothing(tmp_path):
    folder = tmp_path / "tensorboard"
    folder.mkdir()
    file = TensorBoardFile(folder, 0, CONFIG)
    shutil.rmtree(folder)
    with pytest.warns(RunWarning, match=r"tensorboard cannot be written .*Training goes on"):
        file.write({"rollout/ep_rew_mean": 1.0}, {"rollout/ep_rew_mean": ()}, 100)
    file.write({"rollout/ep_rew_mean": 2.0}, {"rollout/ep_rew_mean": ()}, 200)
    file.close()


def test_a_run_without_validations_shows_none(tmp_path):
    TensorBoardFile(tmp_path, 0, replace(CONFIG, validate_every=0)).close()
    assert shown_metrics(tmp_path) == {"rollout/ep_rew_mean"}


def test_a_run_that_goes_on_keeps_its_scalars(tmp_path):
    for n_steps, mean in ((0, 1.0), (1000, 2.0)):
        file = TensorBoardFile(tmp_path, n_steps, CONFIG)
        file.write({"rollout/ep_rew_mean": mean}, {"rollout/ep_rew_mean": ()}, n_steps + 100)
        file.close()
    assert shown_settings(tmp_path)["domain"] == "bandit"
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("rollout/ep_rew_mean")] == [1.0, 2.0]
