import numpy as np
import pytest
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize

from rl3_sb3 import (
    TrainingRecord,
    export_policy,
    load_policy,
)
from rl3_sb3.policy import POLICIES

from .policies import make

# -------------------------------------------------------------------- models


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}, {"dict_obs": True}])
def test_a_trained_model_is_exported_with_its_record(
    tmp_path, make_vec, make_model, policy, kwargs
):
    env, settings = make_vec([6, 6], **kwargs), {"seed": 3, "target_kl": 0.01}
    model = make_model(env, policy=policy, n_steps=6, **settings).learn(24)
    model.export(tmp_path / "out", environment="scripted", results={"mean reward": 1.25})
    loaded = load_policy(tmp_path / "out", "cpu")
    np.testing.assert_array_equal(
        loaded.parameters_to_vector(), model.policy.parameters_to_vector()
    )
    record = loaded.training_record
    assert (record.algorithm, record.environment) == ("TransformerPPO", "scripted")
    assert (record.n_steps, record.seed) == (24, 3)
    assert record.results == {"mean reward": 1.25}
    assert record.hyper_parameters["batch_size"] == 12
    assert record.hyper_parameters["target_kl"] == 0.01
    assert record.hyper_parameters["normalize_returns"] is True
    assert {"torch", "python", "stable-baselines3"} <= set(record.versions)


def test_the_record_names_schedules_and_the_environments_id(tmp_path, make_model):
    options = {"learning_rate": LinearSchedule(0.5, 0.25, 1.0), "max_grad_norm": np.inf}
    make_model("CartPole-v1", n_steps=500, **options).export(tmp_path / "out")
    record = load_policy(tmp_path / "out", "cpu").training_record
    assert record.environment == "CartPole-v1"
    assert record.hyper_parameters["learning_rate"] == [0.5, 0.25]
    assert record.hyper_parameters["clip_range"] == 0.2
    assert record.hyper_parameters["max_grad_norm"] == "inf"


def test_the_card_tells_what_the_record_knows(tmp_path, make_vec, make_model):
    model = make_model(make_vec([6, 6], horizon=6), n_steps=6).learn(1200)
    model.export(
        tmp_path / "out",
        environment="two\n| scripted <tasks>",
        description="For <b>tests</b>.",
        results={"mean reward": 1.25},
    )
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for line in (
        "# TransformerPolicy",
        "For &lt;b>tests&lt;/b>.",
        "| observations | Box(4,) of float32 |",
        "| environment | two \\| scripted &lt;tasks> |",
        "| steps | 1,200 |",
        "| batch_size | 12 |",
        "| mean reward | 1.25 |",
    ):
        assert line in card.splitlines()
    assert "load_policy" in card


def test_normalised_environments_are_warned_of(tmp_path, make_vec, make_model):
    model = make_model(VecNormalize(make_vec([6, 6])), n_steps=6)
    with pytest.warns(UserWarning, match="VecNormalize, whose statistics are not exported"):
        model.export(tmp_path / "out")


def test_facts_that_are_no_plain_values_are_not_exported(tmp_path):
    with pytest.raises(ValueError, match="`results` must hold numbers, texts and lists"):
        export_policy(make(), tmp_path / "out", record=TrainingRecord(results={"x": {1: 2}}))
