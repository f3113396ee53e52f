import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from rl3_sb3 import SequenceRolloutBuffer
from rl3_sb3.rollout.segments import Segments

BOX = spaces.Box(-1, 1, (1,), np.float32)


def array(*rows):
    return np.array(rows, dtype=np.float32)


def filled(ends, rewards=None, after=(), gamma=0.5, gae_lambda=1.0, batch_size=4):
    """A buffer whose token at (env, step) is the number 10 * env + step + 1."""
    ends = np.asarray(ends, dtype=bool)
    n_envs, n_steps = ends.shape
    buffer = SequenceRolloutBuffer(n_steps, BOX, BOX, "cpu", gae_lambda, gamma, n_envs)
    rewards = np.zeros(ends.shape) if rewards is None else np.asarray(rewards)
    for t in range(n_steps):
        token = th.tensor([[10.0 * i + t + 1] for i in range(n_envs)])
        buffer.add_choice(tokens=token, actions=token.squeeze(1), params=token)
        buffer.add_outcome(rewards[:, t], ends[:, t])
        for (row, step), value in after:
            if step == t:
                buffer.add_tokens_after(np.array([row]), th.tensor([[value]]))
    # the "critic" sums the tokens so far: it shows which context each value was computed in
    buffer.finish(
        lambda tokens: tokens.squeeze(-1).cumsum(1), lambda params, actions: actions, batch_size
    )
    return buffer


def test_values_are_computed_in_the_context_of_their_segment():
    buffer = filled([[0, 1, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(buffer.values, array([1, 3, 3, 7], [11, 23, 36, 50]))


def test_the_value_after_a_truncation_is_computed_in_context():
    buffer = filled([[0, 1, 0, 1]], after=[((0, 1), 100.0)], gae_lambda=0.0)
    # 0.5 * V(1 + 2 + 100) - V(1 + 2); no value after the terminated last step
    np.testing.assert_allclose(buffer.advantages[0, 1], 0.5 * 103 - 3)
    np.testing.assert_allclose(buffer.advantages[0, 3], -7)


def test_an_episode_that_still_runs_at_the_end_is_bootstrapped_in_context():
    buffer = filled([[0, 1, 0, 0]], after=[((0, 3), 100.0)], gae_lambda=0.0)
    np.testing.assert_allclose(buffer.advantages[0, 3], 0.5 * (3 + 4 + 100) - 7)


def test_returns_are_advantages_plus_values():
    buffer = filled([[0, 0, 0, 1]], rewards=[[1, 2, 4, 8]])
    np.testing.assert_allclose(buffer.returns, array([1 + 1 + 1 + 1, 6, 8, 8]))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 9), st.integers(1, 50))
def test_every_step_is_in_exactly_one_minibatch_of_an_epoch(data, n_envs, n_steps, batch_size):
    cells = st.lists(st.booleans(), min_size=n_steps, max_size=n_steps)
    ends = data.draw(st.lists(cells, min_size=n_envs, max_size=n_envs))
    buffer = filled(ends)
    seen = []
    for batch in buffer.get(batch_size):
        mask = th.ones(batch.actions.shape, dtype=th.bool) if batch.mask is None else batch.mask
        seen += batch.actions[mask].tolist()
        # tokens, actions and the rest of a step stay together
        assert th.equal(batch.tokens.squeeze(-1), batch.log_probs)
        # a segment's real steps are consecutive, and first
        for row, real in zip(batch.actions, mask, strict=True):
            n = int(real.sum())
            assert real[:n].all()
            assert th.equal(row[:n], row[0] + th.arange(n))
    assert sorted(seen) == [10.0 * i + t + 1 for i in range(n_envs) for t in range(n_steps)]


def test_full_rows_come_without_padding_or_mask():
    batches = list(filled([[0, 0, 1, 0, 0, 1]] * 4).get(6))
    assert [tuple(b.tokens.shape) for b in batches] == [(2, 3, 1)] * 4
    assert all(b.mask is None for b in batches)


def test_minibatches_share_the_steps_equally():
    ends = np.zeros((10, 3), dtype=bool)
    ends[:, -1] = True
    sizes = [len(b.tokens) for b in filled(ends).get(8)]  # 30 steps: 4 minibatches, not 3.75
    assert sorted(sizes) == [2, 2, 3, 3]


def test_the_order_is_shuffled_by_numpy_seed():
    buffer = filled(np.eye(6, dtype=bool))

    def order():
        return [b.tokens.flatten().tolist() for b in buffer.get(3)]

    np.random.seed(0)  # noqa: NPY002 - SB3's seed
    first, second = order(), order()
    np.random.seed(0)  # noqa: NPY002 - SB3's seed
    assert order() == first
    assert first != second


def test_a_live_observation_buffer_does_not_shift_the_data():
    buffer = SequenceRolloutBuffer(2, BOX, BOX, "cpu", n_envs=1)
    live = np.array([[1.0]], dtype=np.float32)
    for t in range(2):
        token = th.as_tensor(live)
        buffer.add_choice(tokens=token, actions=token.squeeze(1), params=token)
        live += 1  # the environment's step overwrites its observation
        buffer.add_outcome(np.zeros(1), np.array([t == 1]))
    buffer.finish(lambda x: x.squeeze(-1), lambda p, a: a, 2)
    assert next(buffer.get()).tokens.flatten().tolist() == [1, 2]


def test_a_reset_forgets_ends_and_bootstraps():
    buffer = filled([[0, 1, 0, 0]], after=[((0, 3), 100.0)])
    buffer.reset()
    for t in range(4):
        token = th.tensor([[float(t)]])
        buffer.add_choice(tokens=token, actions=token.squeeze(1), params=token)
        buffer.add_outcome(np.ones(1), np.array([False]))
    buffer.finish(lambda x: th.zeros(x.shape[:2]), lambda p, a: a, 4)
    np.testing.assert_allclose(buffer.returns, [[1.875, 1.75, 1.5, 1]])


def test_an_unfinished_rollout_cannot_be_read():
    buffer = SequenceRolloutBuffer(2, BOX, BOX, "cpu", n_envs=1)
    with pytest.raises(AssertionError, match="finished"):
        next(buffer.get())


def test_minibatches_share_out_the_steps_not_the_segments():
    # lengths 6, 1, 1, 1, 1, 2: half of 12 steps is the first segment alone
    lengths = np.array([6, 1, 1, 1, 1, 2])
    segments = Segments(np.cumsum(lengths) - lengths, lengths)
    halves = segments.deal(np.arange(6), 2)
    assert [ids.tolist() for ids in halves] == [[0], [1, 2, 3, 4, 5]]
