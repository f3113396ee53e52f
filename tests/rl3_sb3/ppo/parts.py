"""What several tests of PPO share."""

import copy

import pytest
import torch as th

ALIGNED, RAGGED = [4, 4, 4], [4, 3, 7]
EACH = pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
REMEMBERING = pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy"])


def real_steps(batch):
    shape = batch.log_probs.shape
    return th.ones(shape, dtype=th.bool) if batch.mask is None else batch.mask


def snapshot(module):
    return copy.deepcopy(module.state_dict())


def changed(module, before):
    return any(not th.equal(p, before[name]) for name, p in module.state_dict().items())
