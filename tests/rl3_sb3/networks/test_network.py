"""What holds of every network behind the door, whatever it remembers by."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
import torch as th
from torch import nn

from rl3_sb3.networks.lstm import Lstm
from rl3_sb3.networks.memoryless import MemorylessNetwork
from rl3_sb3.networks.transformer import CausalTransformer
from rl3_sb3.policy import POLICIES

SIZES = {
    CausalTransformer: {
        "context_length": 9, "d_model": 8, "n_layers": 2, "n_heads": 2, "d_ff": 12,
        "input_hidden": 10,
    },
    Lstm: {"hidden": 8, "n_layers": 2, "input_hidden": 10},
    MemorylessNetwork: {"context_length": 9, "hidden": 8},
}  # fmt: skip
# Each network with each of its choices.
KINDS = {
    ", ".join([kind.__name__, *texts]): (kind, dict(zip(kind.CHOICES, texts, strict=True)))
    for kind in SIZES
    for texts in product(*kind.CHOICES.values())
}
REMEMBERING = [name for name in KINDS if name != "MemorylessNetwork"]


@pytest.fixture(params=KINDS)
def name(request):
    return request.param


@pytest.fixture
def network(name):
    return make(name)


@pytest.fixture(params=REMEMBERING)
def remembering(request):
    return make(request.param)


def make(name, seed=0):
    th.manual_seed(seed)
    kind, choices = KINDS[name]
    network = kind(5, 3, **SIZES[kind], **choices)
    with th.no_grad():  # large weights, so that all that is remembered shows
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.6)
    return network


def tokens(B, T=9):
    return th.randn(B, T, 5, generator=th.Generator().manual_seed(1))


def close(found, expected):
    th.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_steps_equal_the_pass_over_sequences_of_ragged_rows_after_resets(network):
    rng = np.random.default_rng(0)
    memory, history, ragged = network.new_memory(4), [[] for _ in range(4)], 0
    for _ in range(40):
        starts = (rng.random(4) < 0.2) | np.array([len(h) == 9 for h in history])
        memory = memory.reset_rows(starts)
        x = th.as_tensor(rng.standard_normal((4, 5)), dtype=th.float32)
        out, memory = network.step(x, memory)
        for row in range(4):
            history[row] = [*([] if starts[row] else history[row]), x[row]]
            close(out[row], network(th.stack(history[row])[None])[0, -1])
        ragged += len({len(h) for h in history}) > 1
    assert ragged > 20


def test_a_static_step_is_a_step(network):
    x, plain, static = tokens(3), network.new_memory(3), network.new_memory(3)
    ends = {2: [0, 1, 0], 5: [1, 0, 1]}
    for t in range(9):
        expected, plain = network.step(x[:, t], plain)
        given = static.tensors()
        before = [tensor.clone() for tensor in given]
        for _ in range(2):  # as warming up repeats it
            out, *tensors = network.static_step(x[:, t], static, given)
        assert all(map(th.equal, given, before))
        assert [new.shape for new in tensors] == [old.shape for old in given]
        static = static.stepped(tuple(tensors))
        close(out, expected)
        if t in ends:
            rows = np.array(ends[t], dtype=bool)
            plain, static = plain.reset_rows(rows), static.reset_rows(rows)


@pytest.mark.parametrize("t", [0, 4, 8])
def test_a_token_changes_no_earlier_output_and_all_later_ones(remembering, t):
    x = tokens(2)
    other = x.clone()
    other[:, t] += 1
    moved = (remembering(x) - remembering(other)).abs().amax(dim=(0, 2))
    assert (moved[:t] < 1e-6).all()
    assert (moved[t:] > 1e-5).all()


def test_a_memory_survives_what_comes_after_it(remembering):
    x = tokens(2)
    _, memory = remembering.step(x[:, 0], remembering.new_memory(2))
    first, _ = remembering.step(x[:, 1], memory)
    branch = copy.deepcopy(memory).reset_rows(np.array([True, False]))
    remembering.step(x[:, 5], branch)
    second, _ = remembering.step(x[:, 1], memory)
    assert first.equal(second)


def test_resetting_one_row_leaves_others_unchanged(remembering):
    x, memory = tokens(3), remembering.new_memory(3)
    for t in range(4):
        _, memory = remembering.step(x[:, t], memory)
    out, _ = remembering.step(x[:, 4], memory.reset_rows(np.array([False, True, False])))
    close(out[[0, 2]], remembering(x)[[0, 2], 4])
    close(out[1], remembering(x[1:2, 4:])[0, 0])
    assert (out[1] - remembering(x)[1, 4]).abs().max() > 1e-3


def test_a_memory_that_replaces_another_is_empty(network):
    x, old = tokens(2), network.new_memory(2)
    for t in range(5):
        _, old = network.step(x[:, t], old)
    out, _ = network.step(x[:, 5], network.new_memory(2, old))
    close(out, network(x[:, 5:])[:, 0])


def test_one_token_beyond_the_longest_episode_may_come_to_be_valued(network):
    x = tokens(2, T=10)
    close(network(x, bootstrap=True)[:, :9], network(x[:, :9]))


def change_by_loading(network):
    network.load_state_dict(network.state_dict())


@pytest.mark.parametrize("change", [change_by_loading, lambda net: net.invalidate_memories()])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_memory_of_other_weights_is_refused(remembering, change, copied):
    for network in (remembering, copied(remembering)):
        memory = network.new_memory(2)
        network.require_room(2, memory)
        change(network)
        with pytest.raises(ValueError, match=r"`memory` must come from the current weights"):
            network.step(tokens(2)[:, 0], memory)


@pytest.mark.parametrize("kind", REMEMBERING)
def test_a_memory_of_another_network_is_refused(kind):
    network, other = make(kind), make(kind, seed=1)
    with pytest.raises(ValueError, match="current weights"):
        network.step(tokens(2)[:, 0], other.new_memory(2))


def test_a_memory_of_another_batch_size_is_refused(remembering):
    with pytest.raises(ValueError, match="2 rows for 3 tokens"):
        remembering.step(tokens(3)[:, 0], remembering.new_memory(2))


def test_a_memory_made_in_inference_mode_works_outside_of_it(remembering):
    with th.inference_mode():
        memory = remembering.new_memory(2)
    out, _ = remembering.step(tokens(2)[:, 0], memory)
    close(out, remembering(tokens(2))[:, 0])


def test_stepping_leaves_no_gradient_graph(network):
    out, memory = network.step(tokens(2)[:, 0], network.new_memory(2))
    assert not any(x.requires_grad for x in (out, *memory.tensors()))


def test_the_shapes_and_bytes_are_known_without_the_network(name, network):
    kind, choices = KINDS[name]
    assert (set(kind.SIZES), kind.CHOICES.keys()) == (SIZES[kind].keys(), choices.keys())
    arguments = SIZES[kind] | choices
    kind.check_sizes(**arguments)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert kind.weight_shapes(5, 3, **arguments) == shapes
    kept = [x for x in network.new_memory(1) if isinstance(x, th.Tensor)]
    assert kind.memory_bytes(**arguments) == sum(x.nbytes for x in kept)


def test_the_network_of_each_policy_is_tried_here():
    networks = {policy.network for policy in POLICIES.values()}
    assert networks == SIZES.keys(), "add small sizes of the new one to SIZES"


@pytest.mark.parametrize(("kind", "size"), [(k, name) for k in SIZES for name in SIZES[k]])
def test_a_size_below_1_is_refused(kind, size):
    for way in (lambda sizes: kind(5, 3, **sizes), lambda sizes: kind.check_sizes(**sizes)):
        with pytest.raises(ValueError, match=f"`{size}` must be at least 1, got 0"):
            way(SIZES[kind] | {size: 0})
