"""Train one iteration: epochs of minibatches, and an actor that stops before the critic.

After each epoch the exact KL(behaviour || current), averaged over the whole rollout, is compared
with `target_kl`. If it is larger, the actor stops for this iteration; the critic, a separate
network, continues. A stopped actor has no gradients (None, not zeros), so Adam does not change its
weights and moments.

The critic may be trained in units of this rollout's returns, see `units`. Gradients are clipped
separately for each network. They share no weights, and a large gradient of one, often the critic,
would otherwise limit the step of the other.

On several ranks (see `ranks`) each contributes a part of every minibatch. Gradients, the statistics
of advantages and the divergence are summed over the parts.

With a symmetry, each epoch relabels the actions of some sequences, see `symmetry`.

Source: Schulman et al. 2017 (arXiv 1707.06347); details of RL3 (arXiv 2306.15909, Appendix C).
"""

from dataclasses import dataclass

import torch as th
from torch import nn

from rl3_sb3.cuda_graphs import Replayed, Tensors
from rl3_sb3.ranks import n_ranks, sum_over_ranks
from rl3_sb3.rollout.advantages import normalisation
from rl3_sb3.rollout.buffer import SequenceRolloutBuffer
from rl3_sb3.sequence_policy import SequencePolicy
from rl3_sb3.update.gradients import Gradients
from rl3_sb3.update.losses import Weights
from rl3_sb3.update.symmetry import Relabelling, Symmetry
from rl3_sb3.update.units import PLAIN, Units, in_units, units_of

# Steps that a CPU computes at a time, with gradients and without. Measured: 1400 to 2000 take
# equally long, fewer and more are slower.
_CPU_PIECE_STEPS = 2000

# Steps that a GPU computes at a time without gradients: a rollout of the paper takes a few hundred
# megabytes. Estimated, not measured: smaller pieces need as many launches each.
_GPU_INFERENCE_STEPS = 32768


class DivergedError(FloatingPointError):
    """Training became NaN or infinite. The model is lost; continue from a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one iteration, see `TransformerPPO`; `batch_size` counts all ranks' steps.

    Without `actor_trains`, only the critic trains in this iteration.
    """

    n_epochs: int
    batch_size: int
    clip_range: float
    ent_coef: float
    vf_coef: float
    normalize_advantage: bool
    normalize_returns: bool
    max_grad_norm: float | None
    target_kl: float | None
    symmetry: Symmetry | None = None
    actor_trains: bool = True


class Updates:
    """Trains a policy on finished rollouts.

    Only recordings of its computations are kept between iterations.

    Args:
        policy: The policy to train, with its optimizer.
        cuda_graphs: Record computations on a GPU.
    """

    def __init__(self, policy: SequencePolicy, *, cuda_graphs: bool = False) -> None:
        self.policy = policy
        on_gpu = policy.device.type == "cuda"  # a GPU prefers few large pieces
        self.inference_steps = _GPU_INFERENCE_STEPS if on_gpu else _CPU_PIECE_STEPS
        piece_steps = None if on_gpu else _CPU_PIECE_STEPS
        self._gradients = Gradients(policy, piece_steps, cuda_graphs=cuda_graphs)
        self._divergence = Replayed(self._divergences, record=cuda_graphs)

    def run(self, rollout: SequenceRolloutBuffer, settings: Settings) -> dict[str, float]:
        """Train one iteration.

        Args:
            rollout: A finished rollout.
            settings: The settings of this iteration.

        Returns:
            Means over minibatches under SB3's names ("value_loss", "policy_gradient_loss",
            "entropy_loss", "clip_fraction"), "kl" after the actor's last epoch, "actor_epochs",
            and with a symmetry "asymmetry", the mean KL(relabelled behaviour || current). The
            actor's losses are missing in an iteration without the actor.

        Raises:
            DivergedError: A loss, the divergence or a parameter is not finite.
        """
        terms: list[th.Tensor] = []
        actor_epochs, kl = 0, 0.0
        head = self.policy.require_critic().head
        critic_trains = bool(self._gradients.parameters(actor_trains=False))
        actor_trains = settings.actor_trains or not critic_trains
        can_change = all(parameter.requires_grad for parameter in head.parameters())
        units = units_of(rollout) if settings.normalize_returns and can_change else PLAIN
        with in_units(head, units):
            for _ in range(settings.n_epochs):
                if not (actor_trains or critic_trains):
                    break
                terms += self._epoch(rollout, settings, units, actor_trains)
                if actor_trains:
                    actor_epochs += 1
                    if settings.target_kl is not None:
                        kl = self.mean_divergence(rollout)
                        actor_trains = kl <= settings.target_kl
        if settings.target_kl is None:
            kl = self.mean_divergence(rollout)  # only reported
        metrics = _metrics(terms, settings) | {"kl": kl, "actor_epochs": actor_epochs}
        metrics["value_loss"] *= units.size**2
        self._require_finite(metrics)
        return metrics

    def _epoch(
        self, rollout: SequenceRolloutBuffer, settings: Settings, units: Units, actor_trains: bool
    ) -> list[th.Tensor]:
        """Train for one pass over the rollout; return the loss terms of its minibatches."""
        optimizer = self.policy.optimizer
        parameters = self._gradients.parameters(actor_trains=actor_trains)
        minibatches = rollout.deal(self._n_batches(rollout, settings.batch_size))
        relabelling = _drawn(settings.symmetry, rollout)
        scales = normalisation(
            [rollout.advantages_of(ids) for ids in minibatches],
            normalize=settings.normalize_advantage,
        )
        terms = []
        for ids, n_steps, mean, scale in zip(minibatches, *scales, strict=True):
            if n_steps == 0:  # a segment longer than a minibatch took its place
                continue
            weights = Weights(
                clip_range=settings.clip_range,
                ent_coef=settings.ent_coef,
                vf_coef=settings.vf_coef,
                n_steps=n_steps,
                advantage_mean=mean,
                advantage_scale=scale,
                return_mean=units.mean,
                return_scale=1 / units.size,
                symmetry_coef=0.0 if relabelling is None else relabelling.symmetry.coef,
            )
            if len(ids) > 0:
                batch = rollout.minibatch(ids)
                if relabelling is not None:
                    batch = relabelling.of(batch, ids)
                found, gradients = self._gradients.of(batch, weights, actor_trains=actor_trains)
            else:  # only other ranks have a part of this minibatch
                n_terms = (4 if relabelling is None else 5) if actor_trains else 1
                found = parameters[0].new_zeros(n_terms)
                gradients = tuple(th.zeros_like(p) for p in parameters)
            found, gradients = _summed(found, gradients)
            terms.append(found.clone())
            optimizer.zero_grad(set_to_none=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            if settings.max_grad_norm is not None:
                for group in optimizer.param_groups:  # actor, critic
                    nn.utils.clip_grad_norm_(group["params"], settings.max_grad_norm)
            optimizer.step()
        return terms

    def _n_batches(self, rollout: SequenceRolloutBuffer, batch_size: int) -> int:
        if n_ranks() == 1:
            return rollout.n_batches(batch_size)
        totals = th.tensor([rollout.ends.size, len(rollout.segments.starts)])
        n_steps, n_segments = sum_over_ranks(totals).tolist()
        return int(min(n_segments, max(1, round(n_steps / batch_size))))

    @th.no_grad()
    def mean_divergence(self, rollout: SequenceRolloutBuffer) -> float:
        """Return the exact KL(behaviour || current), averaged over all steps of the rollout."""
        total = th.zeros((), dtype=th.float64, device=self.policy.device)
        for batch in rollout.get(self.inference_steps, shuffle=False):
            masks = () if batch.action_masks is None else (batch.action_masks,)
            (kl,) = self._divergence(batch.tokens, batch.params, *masks)
            total += (kl if batch.mask is None else kl[batch.mask]).sum()
        sums = th.tensor([total.item(), rollout.ends.size], dtype=th.float64)
        divergence, n_steps = sum_over_ranks(sums).tolist()
        return float(divergence / n_steps)

    def _divergences(
        self, tokens: th.Tensor, behaviour: th.Tensor, action_masks: th.Tensor | None = None
    ) -> Tensors:
        params = self.policy.sequence_params(tokens, action_masks)
        return (self.policy.divergence(behaviour, params),)

    def _require_finite(self, metrics: dict[str, float]) -> None:
        norm = nn.utils.parameters_to_vector(self.policy.parameters()).norm().item()
        for name, value in (*metrics.items(), ("norm of all parameters", norm)):
            if not abs(value) < float("inf"):
                raise DivergedError(f"{name} = {value}")


def _drawn(symmetry: Symmetry | None, rollout: SequenceRolloutBuffer) -> Relabelling | None:
    if symmetry is None or symmetry.share == 0:
        return None
    return symmetry.draw(len(rollout.segments.starts))


def _metrics(terms: list[th.Tensor], settings: Settings) -> dict[str, float]:
    metrics = {"value_loss": th.stack([t[0] for t in terms]).mean().item()}
    with_actor = [t for t in terms if len(t) > 1]
    if not with_actor:
        return metrics
    actor = th.stack(with_actor).mean(0).tolist()
    metrics |= {
        "policy_gradient_loss": actor[1],
        "entropy_loss": -actor[2],
        "clip_fraction": actor[3],
    }
    if len(actor) > 4:
        assert settings.symmetry is not None, "it made the last term"
        metrics["asymmetry"] = actor[4] / settings.symmetry.share
    return metrics


def _summed(terms: th.Tensor, gradients: Tensors) -> tuple[th.Tensor, Tensors]:
    """Sum terms and gradients over the ranks, in one message."""
    if n_ranks() == 1:
        return terms, gradients
    message = sum_over_ranks(th.cat([terms, *(g.flatten() for g in gradients)]))
    found, *parts = th.split(message, [len(terms), *(g.numel() for g in gradients)])
    return found, tuple(part.view_as(g) for part, g in zip(parts, gradients, strict=True))
