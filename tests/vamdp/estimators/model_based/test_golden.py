"""The reference values: every case of golden/value_estimates.json, to 1e-9."""

import json
from pathlib import Path

import numpy as np
import pytest

import vamdp

CASES = json.loads((Path(__file__).parents[2] / "golden" / "value_estimates.json").read_text())[
    "cases"
]


def as_state(value):
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_estimates_match_the_reference(case):
    estimator = vamdp.ValueEstimator(**case["options"])
    for transition, shown in zip(case["transitions"], case["trace"], strict=True):
        state, action, reward, next_state, terminated, _ = transition
        estimator.update(as_state(state), action, reward, as_state(next_state), terminated)
        current = as_state(shown["state"])
        np.testing.assert_allclose(estimator.q_values(current), shown["q"], rtol=0, atol=1e-9)
        assert abs(estimator.value(current) - shown["v"]) < 1e-9
        assert estimator.counts(current).tolist() == shown["counts"]
        assert estimator.n_states == shown["n_model_states"]
        assert estimator.n_sweeps == shown["sweeps"]
    states = estimator.model().states
    in_order = sorted(range(len(states)), key=lambda i: not states[i].terminal)  # living ones last
    numbers = {member: i for i in in_order for member in states[i].members}
    for row in case["final_q"]:
        state = as_state(row["state"])
        np.testing.assert_allclose(estimator.q_values(state), row["q"], rtol=0, atol=1e-9)
        assert estimator.counts(state).tolist() == row["counts"]
        assert numbers[state] == row["model_id"]
