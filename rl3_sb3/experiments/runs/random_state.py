"""Store the states of Python's, NumPy's and torch's random generators as plain numbers.

SB3 seeds these three and draws from them: minibatches from NumPy's, actions from torch's. On a CUDA
device, actions come from the device's own generator, which is stored too.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th


def get_random_state(device: th.device) -> dict[str, Any]:
    """Return the states of all generators as values for JSON.

    Args:
        device: The device on which the policy acts.
    """
    python_version, python_words, python_gauss = random.getstate()
    state: dict[str, Any] = {
        "python": [python_version, list(python_words), python_gauss],
        "numpy": _get_numpy(),
        "torch": th.get_rng_state().tolist(),
    }
    if device.type == "cuda":
        state["cuda"] = th.cuda.get_rng_state(device).tolist()
    return state


def set_random_state(state: Mapping[str, Any], device: th.device) -> None:
    """Restore all generators from the result of `get_random_state`.

    The generator of a CUDA device is not changed if the state comes from another kind of device.
    """
    python_version, python_words, python_gauss = state["python"]
    random.setstate((python_version, tuple(python_words), python_gauss))
    _set_numpy(state["numpy"])
    th.set_rng_state(th.tensor(state["torch"], dtype=th.uint8))
    if device.type == "cuda" and "cuda" in state:
        th.cuda.set_rng_state(th.tensor(state["cuda"], dtype=th.uint8), device)


def _get_numpy() -> dict[str, Any]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002  because SB3 draws from it
    assert isinstance(state, dict), "a tuple is the legacy form"
    return {**state, "state": {**state["state"], "key": state["state"]["key"].tolist()}}


def _set_numpy(state: Mapping[str, Any]) -> None:
    words = np.array(state["state"]["key"], np.uint32)
    whole = {**state, "state": {**state["state"], "key": words}}
    np.random.set_state(whole)  # noqa: NPY002  because SB3 draws from it
