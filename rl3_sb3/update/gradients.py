"""Compute the gradients of the PPO loss over one minibatch.

    L = E[-min(rho A, clip(rho, 1 - eps, 1 + eps) A)] - c_ent E[entropy] + c_vf E[(V - R)^2]

Actor and critic share no weights, so the first two terms train the actor and the last one the
critic. A stopped actor is not computed at all. Relabelled actions add a term to the actor's loss,
see `symmetry`.

On a CPU a minibatch is computed in pieces of a few sequences, whose gradients are summed. The
intermediate results of a piece are then still in the cache for the backward pass, and the memory
needed does not depend on the minibatch.
"""

import torch as th

from rl3_sb3.cuda_graphs import Replayed, Tensors
from rl3_sb3.rollout.buffer import SequenceBatch
from rl3_sb3.sequence_policy import SequencePolicy
from rl3_sb3.to_device import to_device
from rl3_sb3.update.losses import Weights, actor_terms, asymmetry, value_loss


class Gradients:
    """The gradients of a policy's loss.

    Args:
        policy: The policy to train.
        piece_steps: Approximate number of steps to compute at a time, at least one sequence. None:
            the whole minibatch.
        cuda_graphs: Record the computation on a GPU.
    """

    def __init__(
        self, policy: SequencePolicy, piece_steps: int | None, *, cuda_graphs: bool = False
    ) -> None:
        self.policy = policy
        self._piece_steps = piece_steps
        self._of_both = Replayed(self._compute_both, record=cuda_graphs)
        self._of_critic = Replayed(self._compute_critic, record=cuda_graphs)

    def parameters(self, *, actor_trains: bool) -> list[th.nn.Parameter]:
        """Return the trained parameters in the order of their gradients, without frozen ones."""
        groups = self.policy.optimizer.param_groups[0 if actor_trains else 1 :]  # actor, critic
        return [p for group in groups for p in group["params"] if p.requires_grad]

    def of(
        self, batch: SequenceBatch, weights: Weights, *, actor_trains: bool
    ) -> tuple[th.Tensor, Tensors]:
        """Return the loss terms and gradients of a minibatch, or of a rank's part of it.

        Args:
            batch: The sequences.
            weights: See `Weights`.
            actor_trains: False leaves the actor out.

        Returns:
            The value loss, then the three `ActorTerms` if the actor trains, then the asymmetry if
            there is a symmetry; and one gradient for each of `parameters`. On a GPU the next call
            may overwrite them.
        """
        numbers = to_device(th.tensor(weights, dtype=batch.returns.dtype), batch.returns.device)
        function = self._of_both if actor_trains else self._of_critic
        columns = _to_columns(batch)
        n_sequences, T = batch.returns.shape
        n_pieces = 1 if self._piece_steps is None else round(n_sequences * T / self._piece_steps)
        n_pieces = min(max(1, n_pieces), n_sequences)
        pieces = zip(*(column.tensor_split(n_pieces) for column in columns), strict=True)
        outputs = function(numbers, *next(pieces))
        for piece in pieces:
            outputs = tuple(th._foreach_add(outputs, function(numbers, *piece)))
        terms, *gradients = outputs
        return terms, tuple(gradients)

    def _compute_both(self, numbers: th.Tensor, *columns: th.Tensor) -> Tensors:
        weights, batch = Weights(*numbers.unbind()), _to_batch(*columns)
        params = self.policy.sequence_params(batch.tokens, batch.action_masks)
        actor = actor_terms(self.policy.distribution(params), batch, weights)
        critic_loss = value_loss(self.policy.sequence_values(batch.tokens), batch, weights)
        loss = actor.policy_loss - weights.ent_coef * actor.entropy + weights.vf_coef * critic_loss
        terms = [critic_loss, *actor]
        if batch.relabelled is not None:
            terms.append(asymmetry(self.policy.divergence(batch.params, params), batch, weights))
            loss = loss + weights.symmetry_coef * terms[-1]
        gradients = th.autograd.grad(loss, self.parameters(actor_trains=True))
        return th.stack(terms).detach(), *gradients

    def _compute_critic(self, numbers: th.Tensor, *columns: th.Tensor) -> Tensors:
        weights, batch = Weights(*numbers.unbind()), _to_batch(*columns)
        critic_loss = value_loss(self.policy.sequence_values(batch.tokens), batch, weights)
        loss = weights.vf_coef * critic_loss
        gradients = th.autograd.grad(loss, self.parameters(actor_trains=False))
        return critic_loss.detach().reshape(1), *gradients


def _to_columns(batch: SequenceBatch) -> list[th.Tensor]:
    # Recordings are distinguished by shapes, so None becomes a tensor without entries.
    absent = batch.tokens.new_empty(0)
    return [absent if column is None else column for column in batch]


def _to_batch(*columns: th.Tensor) -> SequenceBatch:
    return SequenceBatch(*(column if column.numel() else None for column in columns))  # type: ignore[arg-type] # those that may be None
