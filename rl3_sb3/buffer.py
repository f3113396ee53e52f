"""One rollout, cut at episode starts and handed out as whole sequences.

A transformer learns from sequences, so the unit of a minibatch is a *segment*: the steps of one
environment from an episode's start (or the rollout's) to its end (or the rollout's). Meta-episodes
that fill the rollout give n_envs segments of equal length: full rows, no padding, no mask. Ragged
segments are padded to the longest one in their minibatch, and a mask keeps the padding out of the
loss. Every step is in exactly one segment, hence in exactly one minibatch of an epoch.

Advantages are generalized advantage estimates (Schulman et al. 2016), per segment:

    delta_t = r_t + gamma V_{t+1} - V_t,        A_t = delta_t + gamma lambda A_{t+1},

where the V after a segment's last step is 0 if the episode terminated, and otherwise (a time limit,
or the rollout's end) the value of the observation that followed, *in context*: the critic reads it
as one more token of the same segment.

Index order: [environment, step], so that a segment is contiguous.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

FloatArray = npt.NDArray[np.float32]


class SequenceBatch(NamedTuple):
    """A minibatch of B segments, padded to T steps.

    Attributes:
        tokens: Flattened observations, shape (B, T, C).
        actions: Shape (B, T), or (B, T, n_actions) for continuous actions.
        params: The behaviour's distribution parameters, shape (B, T, n_params).
        log_probs: The behaviour's log-probabilities of the actions, shape (B, T).
        advantages: Shape (B, T).
        returns: Targets of the critic, advantage + value, shape (B, T).
        mask: True at real steps, shape (B, T); None if there is no padding.
    """

    tokens: th.Tensor
    actions: th.Tensor
    params: th.Tensor
    log_probs: th.Tensor
    advantages: th.Tensor
    returns: th.Tensor
    mask: th.Tensor | None


class _Segments(NamedTuple):
    """Where the segments lie in the flattened (n_envs * n_steps) order."""

    starts: npt.NDArray[np.int64]  # (S,)
    lengths: npt.NDArray[np.int64]  # (S,)


def generalized_advantages(
    rewards: FloatArray,
    values: FloatArray,
    bootstrap: FloatArray,
    ends: npt.NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
) -> FloatArray:
    """Return the generalized advantage estimates of rollouts that are cut at `ends`.

    Args:
        rewards: Shape (n_envs, n_steps).
        values: Value of the observation each step started from, shape (n_envs, n_steps).
        bootstrap: Read at `ends` only: value of the observation after the segment's last step, 0 if
            the episode terminated; shape (n_envs, n_steps).
        ends: True at the last step of a segment; the last column is all True.
        gamma: Discount, in [0, 1].
        gae_lambda: In [0, 1]: 0 gives one-step errors, 1 discounted returns minus values.

    Returns:
        Shape (n_envs, n_steps).
    """
    next_values = np.where(ends, bootstrap, np.roll(values, -1, axis=1))
    deltas = rewards + gamma * next_values - values
    decay = (gamma * gae_lambda * ~ends).astype(np.float32)
    advantages = np.zeros_like(values)
    following = np.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        following = deltas[:, t] + decay[:, t] * following
        advantages[:, t] = following
    return advantages


class SequenceRolloutBuffer(RolloutBuffer):
    """Holds one rollout of `n_envs` environments and `buffer_size` steps each.

    What the network made (tokens, actions, distribution parameters) stays on its device; what the
    environment made (rewards, ends) stays on the host until the rollout is complete. Filled by
    `add_choice` before the environment's step and `add_outcome` after it.

    Args:
        buffer_size: Steps per environment.
        observation_space: Part of SB3's signature; tokens are already flat.
        action_space: Part of SB3's signature.
        device: Where minibatches lie.
        gae_lambda: See `generalized_advantages`.
        gamma: See `generalized_advantages`.
        n_envs: Number of environments.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: th.device | str = "auto",
        gae_lambda: float = 1.0,
        gamma: float = 0.99,
        n_envs: int = 1,
    ) -> None:
        # Storage on the device, made at the first step, which knows the shapes.
        self._stored: dict[str, th.Tensor] = {}
        super().__init__(
            buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs
        )

    def reset(self) -> None:
        """Forget the rollout; the storage stays allocated."""
        shape = (self.n_envs, self.buffer_size)
        self.rewards = np.zeros(shape, dtype=np.float32)
        self.ends = np.zeros(shape, dtype=bool)
        self.values = np.zeros(shape, dtype=np.float32)
        self.advantages = np.zeros(shape, dtype=np.float32)
        self.returns = np.zeros(shape, dtype=np.float32)
        # (environment, step) of a segment's last step -> token of the observation after it
        self._tokens_after: dict[tuple[int, int], th.Tensor] = {}
        self._segments: _Segments | None = None
        self.pos = 0
        self.full = False

    # ---------------------------------------------------------------- filling

    def add_choice(self, **tensors: th.Tensor) -> None:
        """Store what the policy saw and chose at this step, *before* the environment steps.

        An environment may hand out its live buffer, which its next step overwrites.

        Args:
            tensors: `tokens` (n_envs, C), `actions` (n_envs, ...), `params` (n_envs, n_params).
        """
        for name, value in tensors.items():
            if name not in self._stored:
                shape = (self.n_envs, self.buffer_size, *value.shape[1:])
                self._stored[name] = th.zeros(shape, dtype=value.dtype, device=self.device)
            self._stored[name][:, self.pos] = value

    def add_outcome(self, rewards: npt.NDArray[Any], dones: npt.NDArray[np.bool_]) -> None:
        """Store what the environment answered, and go on to the next step.

        Args:
            rewards: Shape (n_envs,).
            dones: Shape (n_envs,), True where an episode ended in either way.
        """
        self.rewards[:, self.pos] = rewards
        self.ends[:, self.pos] = dones
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def add_tokens_after(self, rows: npt.NDArray[np.int64], tokens: th.Tensor) -> None:
        """Store the observations that followed the step just added, where a value is needed.

        Args:
            rows: Environments whose episode was truncated there, or still runs at the rollout's
                end; shape (n,).
            tokens: Shape (n, C).
        """
        for row, token in zip(rows, tokens, strict=True):
            self._tokens_after[int(row), self.pos - 1] = token.clone()

    # ---------------------------------------------------------------- after the rollout

    def finish(
        self,
        values_of: Callable[[th.Tensor], th.Tensor],
        log_probs_of: Callable[[th.Tensor, th.Tensor], th.Tensor],
        batch_size: int,
    ) -> None:
        """Compute values, log-probabilities, advantages and returns of the complete rollout.

        Args:
            values_of: The critic: tokens (B, T, C) to values (B, T). T may exceed the longest
                segment by one, for the observation after it.
            log_probs_of: Distribution parameters and actions to log-probabilities.
            batch_size: About how many steps the critic reads at a time.
        """
        assert self.full, "finish() needs a complete rollout"
        self.ends[:, -1] = True  # the rollout cuts every segment; whether to bootstrap is separate
        self._segments = segments = self._find_segments()
        flat_values, flat_bootstrap = np.zeros((2, self.ends.size), dtype=np.float32)
        for ids in self._split(np.arange(len(segments.starts)), batch_size):
            tokens, mask = self._gather_for_critic(ids)
            values = values_of(tokens).cpu().numpy()
            index, real = self._indices(ids, values.shape[1])
            flat_values[index[real]] = values[real]
            for b in np.flatnonzero(mask):
                length = segments.lengths[ids[b]]
                flat_bootstrap[segments.starts[ids[b]] + length - 1] = values[b, length]
        self.values = flat_values.reshape(self.ends.shape)
        bootstrap = flat_bootstrap.reshape(self.ends.shape)
        self.advantages = generalized_advantages(
            self.rewards, self.values, bootstrap, self.ends, self.gamma, self.gae_lambda
        )
        self.returns = self.advantages + self.values
        stored = self._stored
        stored["log_probs"] = log_probs_of(stored["params"], stored["actions"])
        stored["advantages"] = th.as_tensor(self.advantages, device=self.device)
        stored["returns"] = th.as_tensor(self.returns, device=self.device)

    def _find_segments(self) -> _Segments:
        last = np.flatnonzero(self.ends)  # a row's last step is an end, so rows never join
        starts = np.concatenate([[0], last[:-1] + 1])
        return _Segments(starts, last - starts + 1)

    def _gather_for_critic(
        self, ids: npt.NDArray[np.int64]
    ) -> tuple[th.Tensor, npt.NDArray[np.bool_]]:
        """Return the segments' tokens with the observation after each, where one is needed."""
        assert self._segments is not None, "set by finish()"
        lengths = self._segments.lengths[ids]
        last = self._segments.starts[ids] + lengths - 1
        after = [
            self._tokens_after.get((int(i // self.buffer_size), int(i % self.buffer_size)))
            for i in last
        ]
        needed = np.array([token is not None for token in after])
        longest = int((lengths + needed).max())
        index, _ = self._indices(ids, longest)
        tokens = self._take("tokens", index)
        for b in np.flatnonzero(needed):
            tokens[b, lengths[b]] = after[b]  # type: ignore[assignment]
        return tokens, needed

    # ---------------------------------------------------------------- minibatches

    def get(  # type: ignore[override]
        self, batch_size: int | None = None, *, shuffle: bool = True
    ) -> Iterator[SequenceBatch]:
        """Yield the rollout as minibatches of whole segments, every step exactly once.

        Args:
            batch_size: Steps per minibatch. Segments are not cut, so it is met as nearly as equal
                minibatches allow; None gives one minibatch.
            shuffle: Draw the segments in random order (NumPy's global generator, as SB3 does).
        """
        assert self._segments is not None, "get() needs a finished rollout"
        n_segments = len(self._segments.starts)
        order = np.random.permutation(n_segments) if shuffle else np.arange(n_segments)  # noqa: NPY002
        aligned = bool((self._segments.lengths == self._segments.lengths[0]).all())
        for ids in self._split(order, batch_size or self.ends.size):
            index, real = self._indices(ids, int(self._segments.lengths[ids].max()))
            mask = None if aligned else th.as_tensor(real, device=self.device)
            stored = {name: self._take(name, index) for name in self._stored}
            yield SequenceBatch(**stored, mask=mask)

    def _split(self, order: npt.NDArray[np.int64], batch_size: int) -> list[npt.NDArray[np.int64]]:
        # Equal shares instead of full minibatches and a small rest, whose noisy gradient would
        # count as much as the others'.
        assert self._segments is not None, "set by finish()"
        n_batches = min(len(order), max(1, round(self.ends.size / batch_size)))
        steps_before = np.cumsum(self._segments.lengths[order]) - self._segments.lengths[order]
        share = steps_before * n_batches // self.ends.size  # (S,) which minibatch
        return [order[share == i] for i in range(n_batches) if (share == i).any()]

    def _indices(
        self, ids: npt.NDArray[np.int64], T: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return where in the flat order the segments' steps lie, (B, T), and which are real.

        Padding repeats the segment's last step: starts 0, 3, lengths 3, 2, T = 3 gives
        [[0, 1, 2], [3, 4, 4]] and [[1, 1, 1], [1, 1, 0]].
        """
        assert self._segments is not None, "set by finish()"
        steps = np.arange(T)
        lengths = self._segments.lengths[ids, None]
        index = self._segments.starts[ids, None] + np.minimum(steps, lengths - 1)
        return index, steps < lengths

    def _take(self, name: str, index: npt.NDArray[np.int64]) -> th.Tensor:
        # (n_envs, n_steps, ...) -> (B, T, ...)
        return self._stored[name].flatten(0, 1)[th.as_tensor(index, device=self.device)]
