"""What holds of replayed calls, on a stand-in for a GPU and on one.

A CUDA graph reads its inputs from fixed memory and leaves its outputs in fixed memory. The stand-in
does the same without a GPU, so whoever keeps an output too long, or counts on an input being read
where it lies, is found out on a CPU.
"""

import gc
import weakref
from typing import ClassVar

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

import rl3_sb3.cuda_graphs
from rl3_sb3 import TransformerPPO
from rl3_sb3.cuda_graphs import Replayed, _garbage_stays
from rl3_sb3.rollout.acting import Acting
from rl3_sb3.rollout.buffer import SequenceBatch
from rl3_sb3.update.gradients import Gradients
from rl3_sb3.update.losses import Weights


class StandIn:
    """A recording on a CPU: the call is repeated, in memory of its own."""

    made: ClassVar[list["StandIn"]] = []

    def __init__(self, function, inputs):
        self.function = function
        self.inputs = [tensor.clone() for tensor in inputs]
        random_state = th.get_rng_state()
        for _ in range(3):  # warming up repeats the call
            function(*self.inputs)
        self.outputs = [tensor.clone() for tensor in function(*self.inputs)]
        th.set_rng_state(random_state)
        StandIn.made.append(self)

    def replay(self, inputs):
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given)
        for mine, found in zip(self.outputs, self.function(*self.inputs), strict=True):
            mine.copy_(found)
        return tuple(self.outputs)


@pytest.fixture
def stand_in(monkeypatch):
    """Make CPUs record and replay."""
    StandIn.made = []
    monkeypatch.setattr(rl3_sb3.cuda_graphs, "_Recording", StandIn)
    monkeypatch.setattr(rl3_sb3.cuda_graphs, "_can_record", lambda device: True)
    return StandIn


def test_a_shape_is_recorded_when_it_comes_again(stand_in):
    double = Replayed(lambda x: (2 * x,), record=True)
    for n_made, size in [(0, 3), (1, 3), (1, 4), (1, 3), (2, 4)]:
        x = th.rand(size)
        assert th.equal(double(x)[0], 2 * x)
        assert len(stand_in.made) == n_made


def test_many_shapes_are_computed_without_recordings(stand_in):
    double = Replayed(lambda x: (2 * x,), record=True)
    for size in [*range(1, 9), *range(1, 9)]:
        x = th.rand(size)
        assert th.equal(double(x)[0], 2 * x)
    assert len(stand_in.made) == 4


def test_a_cpu_records_nothing(monkeypatch):
    monkeypatch.setattr(rl3_sb3.cuda_graphs, "_Recording", None)
    double = Replayed(lambda x: (2 * x,), record=True)
    for _ in range(3):
        assert double(th.ones(2))[0].tolist() == [2, 2]


def test_nothing_is_recorded_unless_asked_for(make_vec, make_model, stand_in):
    make_model(make_vec([4] * 3), n_steps=4).learn(36)
    assert not stand_in.made


def test_recordings_are_refused_where_there_is_no_gpu(make_vec, make_model):
    with pytest.raises(ValueError, match="`cuda_graphs` must be False on the device cpu"):
        make_model(make_vec([4] * 3), n_steps=4, cuda_graphs=True)


class Cycle:
    """What only the garbage collector frees."""

    def __init__(self):
        self.itself = self


def test_what_was_dropped_is_freed_before_a_recording_and_nothing_during_it():
    before = weakref.ref(Cycle())
    with _garbage_stays():
        assert before() is None
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}, {"dict_obs": True}])
@pytest.mark.parametrize("lengths", [[4] * 3, [4, 3, 7]])
def test_replayed_calls_train_the_same_model(
    make_vec, make_model, monkeypatch, lengths, kwargs, policy
):
    def trained():
        settings = {"n_steps": 8, "n_epochs": 4, "target_kl": 1e-4, "learning_rate": 3e-3}
        if "dict_obs" in kwargs:
            settings["policy_kwargs"] = {"critic_only": "a"}
        model = make_model(make_vec(lengths, **kwargs), policy=policy, **settings)
        model.cuda_graphs = True
        # steps as a GPU does, with the whole context under a mask
        model._acting = Acting(model.policy, len(lengths), cuda_graphs=True)
        model.learn(96)
        return model

    plain = trained()
    with monkeypatch.context() as patch:
        StandIn.made = []
        patch.setattr(rl3_sb3.cuda_graphs, "_Recording", StandIn)
        patch.setattr(rl3_sb3.cuda_graphs, "_can_record", lambda device: True)
        replayed = trained()
    assert len(StandIn.made) >= 3
    np.testing.assert_array_equal(
        plain.policy.parameters_to_vector(), replayed.policy.parameters_to_vector()
    )


@pytest.mark.gpu
def test_a_gpu_draws_the_same_with_and_without_recordings(monkeypatch):
    def draw():
        th.cuda.manual_seed(0)
        clocks = Replayed(lambda x: (x + th.empty_like(x).exponential_(),), record=True)
        return th.stack([clocks(th.zeros(1000, device="cuda"))[0].clone() for _ in range(4)])

    recorded = draw()
    monkeypatch.setattr(rl3_sb3.cuda_graphs, "_can_record", lambda device: False)
    th.testing.assert_close(recorded, draw(), atol=0, rtol=0)
    assert len(recorded.unique()) > 3900


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("policy", "how"),
    [
        ("TransformerPolicy", {}),
        ("TransformerPolicy", {"mixed_precision": True}),
        ("LstmPolicy", {}),
    ],
)
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}])
@pytest.mark.parametrize("lengths", [[4] * 3, [4, 3, 7]])
def test_a_gpu_trains_the_same_with_and_without_recordings(
    make_vec, make_model, monkeypatch, lengths, kwargs, policy, how
):
    def trained():
        settings = {"n_steps": 8, "target_kl": None, "device": "cuda", "cuda_graphs": True}
        # Adam divides by a gradient's size: a small eps would blow up the rounding of those that
        # are exactly zero, like the key bias's.
        settings["policy_kwargs"] = {"adam_eps": 1e-3, **how}
        model = make_model(make_vec(lengths, **kwargs), policy, **settings)
        model.learn(72)
        return model.policy.parameters_to_vector()

    recorded = trained()
    monkeypatch.setattr(rl3_sb3.cuda_graphs, "_can_record", lambda device: False)
    np.testing.assert_allclose(recorded, trained(), atol=1e-4)


@pytest.fixture
def refuse_to_wait():
    """Return a function from which on nothing in this test may wait for the GPU."""
    yield lambda: th.cuda.set_sync_debug_mode("error")
    if th.cuda.is_available():
        th.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_a_gpu_is_asked_for_nothing_but_the_actions(make_vec, make_model, refuse_to_wait):
    model = make_model(make_vec([6] * 3), n_steps=6, device="cuda")
    acting = Acting(model.policy, 3, cuda_graphs=True)
    acting.begin()
    tokens = th.randn(3, 4, device="cuda")
    for _ in range(2):
        acting.choose(tokens)  # records
    refuse_to_wait()
    for _ in range(3):
        acting.choose(tokens)
        acting.forget(np.array([True, False, False]))


WEIGHTS = Weights(0.2, 0.3, 0.7, 12, 0.1, 2.0, return_mean=0.4, return_scale=1.5)


@pytest.mark.gpu
@pytest.mark.parametrize("lengths", [[6] * 4, [6, 2, 3, 6]])
def test_a_minibatch_never_waits_for_a_gpu(make_vec, make_model, refuse_to_wait, lengths):
    model = make_model(make_vec(lengths), n_steps=6, device="cuda").learn(24)
    gradients = Gradients(model.policy, None, cuda_graphs=True)

    def update():
        batch = model.rollout_buffer.minibatch(np.array([2, 0]))
        _, found = gradients.of(batch, WEIGHTS, actor_trains=True)
        for parameter, gradient in zip(gradients.parameters(actor_trains=True), found, strict=True):
            parameter.grad = gradient
        model.policy.optimizer.step()

    for _ in range(2):
        update()  # records
    refuse_to_wait()
    for _ in range(3):
        update()


@pytest.mark.gpu
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}])
@pytest.mark.parametrize("lengths", [[4] * 3, [4, 3, 7]])
def test_a_gpu_has_the_gradients_and_moments_of_a_cpu(make_vec, make_model, lengths, kwargs):
    models = [make_model(make_vec(lengths, **kwargs), n_steps=8, device=d) for d in ("cpu", "cuda")]
    models[0].learn(24)
    models[1].set_parameters(models[0].get_parameters())
    batch = next(models[0].rollout_buffer.get(None))
    found = []
    for model in models:
        gradients = Gradients(model.policy, None, cuda_graphs=True)
        mine = SequenceBatch(*(None if x is None else x.to(model.device) for x in batch))
        for _ in range(3):  # on the GPU: as it is, while recording, replayed
            _, last = gradients.of(mine, WEIGHTS, actor_trains=True)
            found.append([gradient.cpu().clone() for gradient in last])
        parameters = gradients.parameters(actor_trains=True)
        for parameter, gradient in zip(parameters, last, strict=True):
            parameter.grad = gradient
        model.policy.optimizer.step()
        state = model.policy.optimizer.state
        found.append([state[parameter]["exp_avg"].cpu() for parameter in parameters])
    on_cpu, on_gpu = found[:4], found[4:]
    th.testing.assert_close(on_gpu, on_cpu, atol=1e-5, rtol=1e-3)


@pytest.mark.gpu
def test_a_recording_outlives_one_that_was_dropped():
    def recorded(function):
        replayed = Replayed(function, record=True)
        for _ in range(2):
            replayed(th.ones(3, device="cuda"))
        return replayed

    def triple(x):
        assert len([[] for _ in range(10_000)]) > 0  # enough to start the collector
        return (3 * x,)

    dropped = Cycle()
    dropped.replayed = recorded(lambda x: (2 * x,))
    del dropped
    assert recorded(triple)(th.full((3,), 5.0, device="cuda"))[0].tolist() == [15] * 3


@pytest.mark.gpu
@pytest.mark.skipif(th.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_recording_runs_where_its_inputs_lie():
    double = Replayed(lambda x: (2 * x,), record=True)
    for i in range(4):
        assert double(th.full((3,), float(i), device="cuda:1"))[0].tolist() == [2 * i] * 3


@pytest.mark.gpu
def test_a_gpu_computes_what_a_cpu_computes(make_vec, make_model):
    def parameters(device):
        model = make_model(make_vec([6] * 4), n_steps=6, device=device)
        return model, {n: p.detach().cpu() for n, p in model.policy.state_dict().items()}

    on_cpu, weights = parameters("cpu")
    on_gpu, _ = parameters("cuda")
    on_gpu.policy.load_state_dict(weights)
    tokens = th.randn(4, 6, 4)
    for name in ("sequence_params", "sequence_values"):
        ours = getattr(on_gpu.policy, name)(tokens.cuda()).cpu()
        th.testing.assert_close(ours, getattr(on_cpu.policy, name)(tokens), atol=1e-4, rtol=1e-3)


def test_a_model_saves_and_copies_without_its_recordings(make_vec, make_model, stand_in, tmp_path):
    model = make_model(make_vec([4] * 3), n_steps=4)
    model.cuda_graphs = True
    model.learn(36)
    assert len(stand_in.made) > 0
    model.save(tmp_path / "model.zip")
    loaded = TransformerPPO.load(tmp_path / "model.zip", env=make_vec([4] * 3))
    assert loaded.cuda_graphs
    loaded.learn(12, reset_num_timesteps=False)
    assert isinstance(loaded.action_space, spaces.Discrete)
    assert np.isfinite(loaded.policy.parameters_to_vector()).all()
