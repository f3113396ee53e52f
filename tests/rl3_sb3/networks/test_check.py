"""`check_network` accepts our networks, and finds what a network of one's own does wrong."""

import numpy as np
import pytest
import torch as th

from rl3_sb3 import check_network
from rl3_sb3.networks.lstm import Lstm, LstmMemory

from .test_network import KINDS, SIZES

SMALL = SIZES[Lstm]


@pytest.mark.parametrize("name", KINDS)
def test_our_networks_pass(name):
    kind, choices = KINDS[name]
    check_network(kind, **SIZES[kind], **choices)


def test_nothing_random_is_drawn_from_the_global_state():
    th.manual_seed(3)
    expected = th.rand(2)
    th.manual_seed(3)
    check_network(Lstm, **SMALL)
    assert th.rand(2).equal(expected)


class Forgetful(Lstm):
    def step(self, token, memory):
        out, _ = super().step(token, self.new_memory(len(token)))
        return out, memory


class Foreseeing(Lstm):
    def forward(self, tokens, *, bootstrap=False):
        return super().forward(tokens.flip(1), bootstrap=bootstrap).flip(1)


class Bootstrapped(Lstm):
    def forward(self, tokens, *, bootstrap=False):
        return super().forward(tokens) + bootstrap


class Narrow(Lstm):
    def forward(self, tokens, *, bootstrap=False):
        return super().forward(tokens)[..., 0]


class Grown(Lstm):
    def step(self, token, memory):
        out, new = super().step(token, memory)
        memory.hidden.add_(1)
        return out, new


class OtherStatic(Lstm):
    def static_step(self, token, memory, tensors):
        out, *others = super().static_step(token, memory, tensors)
        return (out + 1, *others)

    def step(self, token, memory):
        self.require_room(len(token), memory)
        out, *tensors = super().static_step(token, memory, memory.tensors())
        return out, memory.stepped(tuple(tensors))


class Everlasting(LstmMemory):
    def reset_rows(self, rows):
        return self


class WholeReset(LstmMemory):
    def reset_rows(self, rows):
        return super().reset_rows(np.ones_like(rows))


def with_memory(kind):
    class Other(Lstm):
        def new_memory(self, n_rows, replaced=None):
            return kind(*super().new_memory(n_rows))

    return Other


class NeverStale(Lstm):
    def require_room(self, n_rows, memory):
        pass


class OtherShapes(Lstm):
    @staticmethod
    def weight_shapes(*dims, **sizes):
        return Lstm.weight_shapes(*dims, **sizes) | {"head.bias": (1,)}


class Unmeasured(Lstm):
    @staticmethod
    def memory_bytes(**sizes):
        return None


class Headless(Lstm):
    def __init__(self, *arguments, **sizes):
        super().__init__(*arguments, **sizes)
        self.head = th.nn.Sequential(self.head)


class Stepless(Lstm):
    step = None
    SIZES = None


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (Forgetful, ValueError, r"`Forgetful.step` must give the outputs .* at step 1 "),
        (Foreseeing, ValueError, r"`Foreseeing` must not look ahead"),
        (Bootstrapped, ValueError, r"the same outputs with bootstrap=True, got others by 1"),
        (Narrow, ValueError, r"`Narrow` must return outputs of shape \(3, 8, 4\) .*got \(3, 8\)"),
        (Grown, ValueError, r"`Grown.step` must leave the memory it is given"),
        (OtherStatic, ValueError, r"`OtherStatic.static_step` must do what `step` does"),
        (with_memory(Everlasting), ValueError, r"`reset_rows` .* that does not begin anew"),
        (with_memory(WholeReset), ValueError, r"`reset_rows` .* that does not go on as it was"),
        (NeverStale, ValueError, r"for a memory from before `invalidate_memories`"),
        (OtherShapes, ValueError, r"`OtherShapes.weight_shapes` .* for head.bias"),
        (Unmeasured, ValueError, r"`Unmeasured.memory_bytes` .*got None"),
        (Headless, TypeError, r"as `head`, got Headless with Sequential"),
        (Stepless, TypeError, r"got Stepless without SIZES, step\. Add them"),
        (Lstm(5, 4, **SMALL), TypeError, r"`network` must be a class, got Lstm\("),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_network_does_wrong_is_told(network, error, message):
    with pytest.raises(error, match=message):
        check_network(network, **SMALL)
