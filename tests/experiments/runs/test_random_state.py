import json
import random

import numpy as np
import pytest
import torch as th

from rl3_sb3.experiments.runs.random_state import get_random_state, set_random_state

CPU = th.device("cpu")


def draw(device=CPU):
    # A gauss keeps its second number for the next call.
    return [
        random.random(),
        random.gauss(),
        np.random.random(),  # noqa: NPY002  the generator that SB3 draws from
        np.random.normal(),  # noqa: NPY002
        th.rand(3).tolist(),
        th.randn(1, device=device).item(),
    ]


def check(device):
    draw(device)
    state = json.loads(json.dumps(get_random_state(device)))
    first = draw(device)
    assert draw(device) != first
    set_random_state(state, device)
    assert draw(device) == first


def test_every_generator_goes_on_from_its_state():
    check(CPU)


@pytest.mark.gpu
def test_the_generator_of_a_cuda_device_does_too():
    check(th.device("cuda"))
