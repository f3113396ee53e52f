"""Store one rollout, cut at episode starts, and return minibatches of whole sequences.

A transformer learns from sequences, so minibatches consist of *segments*, see `segments`. If each
environment's steps are whole meta-episodes, segments have equal length: full rows, no padding, no
mask. Segments of different lengths are padded to the longest one in their minibatch, and a mask
keeps the padding out of the loss. Every step is in exactly one segment, hence in exactly one
minibatch of an epoch.

Advantages may need the value of the observation after a segment. It is computed *in context*: the
critic reads that observation as one more token of the segment.

Index order: [environment, step], so that a segment is contiguous.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from rl3_sb3.ranks import sum_over_ranks
from rl3_sb3.rollout.advantages import FloatArray, generalized_advantages
from rl3_sb3.rollout.segments import Ids, Segments
from rl3_sb3.to_device import to_device


class SequenceBatch(NamedTuple):
    """A minibatch of B segments, padded to T steps.

    Attributes:
        tokens: Flattened observations, shape (B, T, C).
        actions: Shape (B, T), or (B, T, n_actions) for continuous actions.
        params: The behaviour policy's distribution parameters, shape (B, T, n_params).
        log_probs: The behaviour policy's log-probabilities of the actions, shape (B, T).
        advantages: Shape (B, T).
        returns: Targets of the critic, advantage + value, shape (B, T).
        mask: True at real steps, shape (B, T); None if there is no padding.
        relabelled: True at steps of sequences whose actions are relabelled, shape (B, T), see
            `rl3_sb3.update.symmetry`; None without a symmetry.
        action_masks: True where an action was allowed, shape (B, T, n_actions); None if no
            environment returned a mask.
    """

    tokens: th.Tensor
    actions: th.Tensor
    params: th.Tensor
    log_probs: th.Tensor
    advantages: th.Tensor
    returns: th.Tensor
    mask: th.Tensor | None
    relabelled: th.Tensor | None = None
    action_masks: th.Tensor | None = None


class SequenceRolloutBuffer(RolloutBuffer):
    """Stores one rollout of `n_envs` environments with `buffer_size` steps each.

    The network's outputs (tokens, actions, distribution parameters) stay on its device. The
    environments' outputs (rewards, ends) stay on the host until the rollout is complete, in double
    precision. `add_choice` is called before the environments step, `add_outcome` after it.

    Attributes named as in SB3's buffer are arrays of shape (n_envs, n_steps, ...), where SB3's are
    (n_steps, n_envs, ...). Observations are tokens, see `rl3_sb3.tokens`.

    Args:
        buffer_size: Steps per environment.
        observation_space: Part of SB3's signature; tokens are already flat.
        action_space: Part of SB3's signature.
        device: The device of minibatches.
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
        # Storage on the device, created at the first step, when the shapes are known.
        self._stored: dict[str, th.Tensor] = {}
        super().__init__(
            buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs
        )

    def reset(self) -> None:
        """Clear the rollout. Its storage stays allocated, except for masks, which are optional."""
        shape = (self.n_envs, self.buffer_size)
        self._stored.pop("action_masks", None)
        self.rewards = np.zeros(shape)
        self.ends = np.zeros(shape, dtype=bool)
        self.begins = np.ones(self.n_envs, dtype=bool)  # whether an episode starts at step 0
        self.values = np.zeros(shape)
        self.advantages = np.zeros(shape)
        self.returns = np.zeros(shape)
        # (environment, step) of a segment's last step -> token of the observation after it
        self._tokens_after: dict[tuple[int, int], th.Tensor] = {}
        self._segments: Segments | None = None
        self.pos = 0
        self.full = False

    # ---------------------------------------------------------------- filling

    def add_choice(self, *, action_masks: th.Tensor | None = None, **tensors: th.Tensor) -> None:
        """Store the policy's inputs and outputs of this step, *before* the environments step.

        Stepping may overwrite the observation, because an environment may reuse its buffer.

        Args:
            action_masks: Bools, (n_envs, n_actions), True where an action was allowed. None: all
                were. A rollout without masks stores none.
            tensors: `tokens` (n_envs, C), `actions` (n_envs, ...), `params` (n_envs, n_params).
        """
        if action_masks is not None:
            if "action_masks" not in self._stored:  # earlier steps had none
                shape = (self.n_envs, self.buffer_size, action_masks.shape[1])
                self._stored["action_masks"] = th.ones(shape, dtype=th.bool, device=self.device)
            self._stored["action_masks"][:, self.pos] = action_masks
        for name, value in tensors.items():
            if name not in self._stored:
                shape = (self.n_envs, self.buffer_size, *value.shape[1:])
                self._stored[name] = th.zeros(shape, dtype=value.dtype, device=self.device)
            self._stored[name][:, self.pos] = value

    def add_outcome(self, rewards: npt.NDArray[Any], dones: npt.NDArray[np.bool_]) -> None:
        """Store the environments' outputs, and advance to the next step.

        Args:
            rewards: Shape (n_envs,).
            dones: Shape (n_envs,), True where an episode terminated or was truncated.
        """
        self.rewards[:, self.pos] = rewards
        self.ends[:, self.pos] = dones
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def add_tokens_after(self, rows: npt.NDArray[np.int64], tokens: th.Tensor) -> None:
        """Store the observations after the step just added, where their value is needed.

        Args:
            rows: The environments whose episode was truncated at this step, or is still running at
                the rollout's end; shape (n,).
            tokens: Shape (n, C).
        """
        for row, token in zip(rows, tokens, strict=True):
            self._tokens_after[int(row), self.pos - 1] = token.clone()

    # ---------------------------------------------------------------- by SB3's names

    @property
    def observations(self) -> npt.NDArray[Any]:  # type: ignore[override] # SB3's is an attribute
        """Tokens, shape (n_envs, n_steps, C), as a copy."""
        return self._shown("tokens")

    @property
    def actions(self) -> npt.NDArray[Any]:  # type: ignore[override] # SB3's is an attribute
        """Actions as sampled, (n_envs, n_steps) or (n_envs, n_steps, n_actions), as a copy."""
        return self._shown("actions")

    @property
    def log_probs(self) -> npt.NDArray[Any]:  # type: ignore[override] # SB3's is an attribute
        """Log-probabilities of the actions in a finished rollout, shape (n_envs, n_steps)."""
        return self._shown("log_probs" if self._segments is not None else "")

    @property
    def episode_starts(self) -> npt.NDArray[np.bool_]:  # type: ignore[override] # as above
        """True where an episode starts, shape (n_envs, n_steps)."""
        return np.concatenate([self.begins[:, None], self.ends[:, :-1]], axis=1)

    def _shown(self, name: str) -> npt.NDArray[Any]:
        if name not in self._stored:
            raise AttributeError(
                "`rollout_buffer` must have been filled first: observations and actions exist "
                "after the first step, log_probs when the rollout is complete."
            )
        shown: npt.NDArray[Any] = self._stored[name].cpu().numpy().copy()
        return shown

    # ---------------------------------------------------------------- after the rollout

    def require_finite(self) -> None:
        """Raise ValueError if an observation or reward is NaN or infinite; report the first one."""
        finite = np.isfinite(self.rewards)
        if not finite.all():
            raise self._not_finite("reward", finite, self.rewards)
        tokens = self._stored["tokens"]
        if not bool(tokens.isfinite().all()):
            finite = tokens.isfinite().all(-1).cpu().numpy()
            raise self._not_finite("observation", finite, tokens.cpu().numpy())
        after = self._tokens_after
        if after and not bool(th.stack(list(after.values())).isfinite().all()):
            finite, observations = np.ones_like(self.ends), np.zeros_like(tokens.cpu().numpy())
            for where, token in after.items():
                finite[where], observations[where] = bool(token.isfinite().all()), token.cpu()
            raise self._not_finite("observation after the action", finite, observations)

    def _not_finite(
        self, what: str, finite: npt.NDArray[np.bool_], values: npt.NDArray[Any]
    ) -> ValueError:
        row, step = np.unravel_index(int(finite.argmin()), finite.shape)
        return ValueError(
            f"`env` must give finite numbers, got the {what} {values[row, step]} in environment "
            f"{row} at step {step} (from 0) of the rollout. Find out where the environment divides "
            "by zero, or replace this value."
        )

    def finish(
        self,
        values_of: Callable[[th.Tensor], th.Tensor],
        log_probs_of: Callable[[th.Tensor, th.Tensor], th.Tensor],
        batch_size: int,
    ) -> None:
        """Compute values, log-probabilities, advantages and returns of the complete rollout.

        Args:
            values_of: The critic, from tokens (B, T, C) to values (B, T). T may be one more than
                the longest segment, for the observation after it.
            log_probs_of: From distribution parameters and actions to log-probabilities.
            batch_size: Approximate number of steps that the critic reads at a time.
        """
        assert self.full, "finish() needs a complete rollout"
        self.ends[:, -1] = True  # segments end with the rollout; they may still be bootstrapped
        self._segments = segments = Segments.between(self.ends)
        flat_values, flat_bootstrap = np.zeros((2, self.ends.size))
        for ids in self._pieces(batch_size):
            tokens, mask = self._gather_for_critic(ids)
            values = values_of(tokens).cpu().numpy()
            index, real = segments.indices(ids, values.shape[1])
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
        for name in ("advantages", "returns"):
            stored[name] = th.as_tensor(getattr(self, name)).to(stored["params"])

    def _gather_for_critic(self, ids: Ids) -> tuple[th.Tensor, npt.NDArray[np.bool_]]:
        """Return the segments' tokens, each followed by the observation after it if needed."""
        segments = self.segments
        lengths = segments.lengths[ids]
        last = segments.starts[ids] + lengths - 1
        after = [
            self._tokens_after.get((int(i // self.buffer_size), int(i % self.buffer_size)))
            for i in last
        ]
        needed = np.array([token is not None for token in after])
        index, _ = segments.indices(ids, int((lengths + needed).max()))
        tokens = self._take("tokens", to_device(index, self.device))
        for b in np.flatnonzero(needed):
            tokens[b, lengths[b]] = after[b]  # type: ignore[assignment]
        return tokens, needed

    def explained_variance(self) -> float:
        """Return 1 - Var(R - V) / Var(R) over all ranks' rollouts; NaN if all returns are equal.

        1 is a perfect critic; below 0 it is worse than a constant.
        """
        columns = (self.returns, self.returns - self.values)
        sums = [float(self.ends.size), *(float(x.sum()) for x in columns)]
        n_steps, *totals = sum_over_ranks(th.tensor(sums, dtype=th.float64)).tolist()
        squares = [((x - s / n_steps) ** 2).sum() for x, s in zip(columns, totals, strict=True)]
        returns, errors = sum_over_ranks(th.tensor(squares, dtype=th.float64)).tolist()
        return float("nan") if returns == 0 else 1 - errors / returns

    # ---------------------------------------------------------------- minibatches

    @property
    def segments(self) -> Segments:
        """The sequences of the finished rollout."""
        assert self._segments is not None, "minibatches need a finished rollout"
        return self._segments

    def get(  # type: ignore[override]
        self, batch_size: int | None = None, *, shuffle: bool = True
    ) -> Iterator[SequenceBatch]:
        """Yield the rollout as minibatches of whole segments, every step exactly once.

        Args:
            batch_size: Steps per minibatch, met as nearly as equal minibatches of whole segments
                allow; None returns a single minibatch.
            shuffle: Draw the segments in random order (with NumPy's global generator, like SB3).
        """
        pieces = self.deal(self.n_batches(batch_size)) if shuffle else self._pieces(batch_size)
        for ids in pieces:
            if len(ids) > 0:
                yield self.minibatch(ids)

    def n_batches(self, batch_size: int | None) -> int:
        """Return the number of minibatches of about `batch_size` steps in the rollout."""
        wished = 1 if batch_size is None else max(1, round(self.ends.size / batch_size))
        return min(wished, len(self.segments.starts))

    def deal(self, n_batches: int) -> list[Ids]:
        """Return the segments of each minibatch of an epoch, drawn at random."""
        # Exactly one draw from NumPy's global generator, which SB3 seeds, for any number of
        # segments: it then stays in the same state on all ranks.
        rng = np.random.default_rng(np.random.randint(2**32, dtype=np.uint64))  # noqa: NPY002
        return self.segments.deal(rng.permutation(len(self.segments.starts)), n_batches)

    def minibatch(self, ids: Ids) -> SequenceBatch:
        """Return these segments as a minibatch.

        Args:
            ids: Numbers of at least one segment.
        """
        if self.segments.aligned:  # equal lengths: gather whole rows instead of single steps
            n_segments, rows = len(self.segments.starts), to_device(ids, self.device)
            columns = {
                # (n_envs, n_steps, ...) -> (n_segments, T, ...) -> (B, T, ...)
                name: column.reshape(n_segments, -1, *column.shape[2:]).index_select(0, rows)
                for name, column in self._stored.items()
            }
            return SequenceBatch(**columns, mask=None)
        index, real = self.segments.indices(ids, int(self.segments.lengths[ids].max()))
        where = to_device(index, self.device)
        columns = {name: self._take(name, where) for name in self._stored}
        return SequenceBatch(**columns, mask=to_device(real, self.device))

    def advantages_of(self, ids: Ids) -> FloatArray:
        """Return the advantages of these segments' steps, one after the other."""
        index, real = self.segments.indices(ids, int(self.segments.lengths[ids].max(initial=0)))
        flat: FloatArray = self.advantages.reshape(-1)[index[real]]
        return flat

    def _pieces(self, batch_size: int | None) -> list[Ids]:
        order = np.arange(len(self.segments.starts))
        return [ids for ids in self.segments.deal(order, self.n_batches(batch_size)) if len(ids)]

    def _take(self, name: str, where: th.Tensor) -> th.Tensor:
        # (n_envs, n_steps, ...) -> (B, T, ...)
        return self._stored[name].flatten(0, 1)[where]
