"""A policy that acts in many environments at once, as fast as its device allows.

One step is: tokens in, distribution parameters, actions drawn from them. A CPU is given slices of
just the attention cache that is filled. A GPU replays one recording for all steps (see
`cuda_graphs`), which reads the whole cache under a mask: the cache is small, and reading it costs
less than launching anew. Its positions are then kept on both sides, so that the host can refuse an
overflow without asking.

Boundaries: an episode's end empties its row of the memory, a new rollout empties all rows.
"""

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.cuda_graphs import Replayed, Tensors
from rl3_sb3.policy import TransformerPolicy
from rl3_sb3.ranks import gather_over_ranks, this_rank
from rl3_sb3.to_device import to_device


class Acting:
    """Chooses actions in this rank's environments.

    Args:
        policy: Whose actor chooses.
        n_envs: Environments of this rank; all ranks must make theirs at once.
        static: Step as a GPU does. None: only on a GPU.

    Attributes:
        n_all_envs: Environments of all ranks.
    """

    def __init__(
        self, policy: TransformerPolicy, n_envs: int, *, static: bool | None = None
    ) -> None:
        self.policy = policy
        self.n_envs = n_envs
        counts = gather_over_ranks(n_envs)
        first = sum(counts[: this_rank()])
        self.n_all_envs = sum(counts)
        self._rows = slice(first, first + n_envs)
        self._static = policy.device.type == "cuda" if static is None else static
        self._state = policy.new_state(n_envs)
        self._positions = th.zeros(n_envs, dtype=th.int64, device=policy.device)
        self._replayed = Replayed(self._static_choice)

    def begin(self) -> None:
        """Empty the memory of all rows: a rollout begins."""
        self._state = self.policy.new_state(self.n_envs, self._state.storage)
        self._positions = th.zeros_like(self._positions)

    @th.no_grad()
    def choose(self, tokens: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Return actions, (B,) or (B, n_actions), and distribution parameters, (B, n_params).

        Args:
            tokens: This step's observations, shape (B, C).

        Raises:
            ValueError: An episode is longer than the context.
        """
        if not self._static:
            params, self._state = self.policy.step(tokens, self._state)
            return self._draw(params), params
        self.policy.actor.require_room(self.n_envs, self._state)
        actions, params, self._positions = self._replayed(tokens, self._positions)
        self._state = self._state._replace(positions=self._state.positions + 1)
        return actions, params

    def forget(self, rows: npt.NDArray[np.bool_]) -> None:
        """Empty the memory of these rows, shape (B,): their episodes ended."""
        self._state = self._state.reset_rows(rows)
        if self._static:
            ended = to_device(rows, self._positions.device)
            self._positions = self._positions.masked_fill(ended, 0)

    def _static_choice(self, tokens: th.Tensor, positions: th.Tensor) -> Tensors:
        params = self.policy.static_step(tokens, self._state.storage, positions)
        return self._draw(params), params, positions + 1

    def _draw(self, params: th.Tensor) -> th.Tensor:
        return self.policy.sample(params, self._rows, self.n_all_envs)
