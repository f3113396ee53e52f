"""Choose actions in many environments at once, as fast as the device allows.

One step turns tokens into distribution parameters and draws actions from them. A CPU runs the
policy's ordinary step. A GPU may instead replay one recording for all steps (see `cuda_graphs`), of
a step that is a function of tensors only.

Boundaries: the end of an episode clears its row of the memory; a new rollout clears all rows.
"""

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.cuda_graphs import Replayed, Tensors
from rl3_sb3.ranks import gather_over_ranks, this_rank
from rl3_sb3.sequence_policy import SequencePolicy


class Acting:
    """Chooses actions in this rank's environments.

    Args:
        policy: The policy whose actor chooses.
        n_envs: Number of this rank's environments. All ranks must create their `Acting` together.
        cuda_graphs: Use the step that can be recorded, and record it on a GPU.

    Attributes:
        n_all_envs: Number of environments of all ranks.
    """

    def __init__(self, policy: SequencePolicy, n_envs: int, *, cuda_graphs: bool = False) -> None:
        self.policy = policy
        self.n_envs = n_envs
        counts = gather_over_ranks(n_envs)
        first = sum(counts[: this_rank()])
        self.n_all_envs = sum(counts)
        self._rows = slice(first, first + n_envs)
        self._static = cuda_graphs
        self._memory = policy.new_state(n_envs)
        self._replayed = Replayed(self._static_choice, record=cuda_graphs)

    def begin(self) -> None:
        """Clear the memory of all rows, at the start of a rollout."""
        self._memory = self.policy.new_state(self.n_envs, self._memory)

    @th.no_grad()
    def choose(
        self, tokens: th.Tensor, action_masks: th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor]:
        """Return actions, (B,) or (B, n_actions), and distribution parameters, (B, n_params).

        Args:
            tokens: This step's observations, shape (B, C).
            action_masks: Bools, (B, n_actions), True where an action is allowed; None: all are.

        Raises:
            ValueError: An episode is longer than the context.
        """
        if not self._static:
            params, self._memory = self.policy.step(tokens, self._memory, action_masks)
            return self._draw(params), params
        self.policy.actor.require_room(self.n_envs, self._memory)
        masks = tokens.new_empty(0) if action_masks is None else action_masks
        actions, params, *tensors = self._replayed(tokens, masks, *self._memory.tensors())
        self._memory = self._memory.stepped(tuple(tensors))
        return actions, params

    def forget(self, rows: npt.NDArray[np.bool_]) -> None:
        """Clear the memory of these rows, bools (B,), because their episodes ended."""
        self._memory = self._memory.reset_rows(rows)

    def _static_choice(self, tokens: th.Tensor, masks: th.Tensor, *tensors: th.Tensor) -> Tensors:
        action_masks = masks if masks.numel() else None
        params, *tensors_after = self.policy.static_step(
            tokens, self._memory, tensors, action_masks
        )
        return self._draw(params), params, *tensors_after

    def _draw(self, params: th.Tensor) -> th.Tensor:
        return self.policy.sample(params, self._rows, self.n_all_envs)
