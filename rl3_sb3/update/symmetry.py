r"""Train on relabelled sequences, for tasks that look the same under other names of their actions.

In bandits, random MDPs and similar tasks, actions are *exchangeable*: for every permutation sigma
of the actions, a task and the task with its actions renamed by sigma are equally likely. Rename the
actions of a trajectory, both the actions taken and every observation entry that belongs to an
action. The result is an equally likely trajectory of an equally likely task, with the same rewards.
So some sequences of each minibatch are renamed, each by its own permutation. This needs no further
steps in the environment, and teaches the networks that what holds for one action holds for all.

**The critic** learns V(sigma h) = R, the return of the original history h.

**The actor.** Let pi^sigma(a | h) = pi(sigma a | sigma h) be the policy that renames, applies pi,
and renames back. Playing pi^sigma in a task is playing pi in the renamed task, so J(pi^sigma) =
J(pi): what improves pi^sigma improves pi. The data come from pi_old, with the advantages A of
pi_old, so the surrogate of J(pi_theta^sigma) is PPO's, with the ratio

    rho = pi_theta(sigma a | sigma h) / pi_old(a | h),

    E[rho A(h, a)] over a ~ pi_old(. | h)  =  sum_a pi_theta(sigma a | sigma h) A(h, a).

The denominator is the stored probability of the original action after the original history. Two
other denominators look plausible. With pi_old(sigma a | sigma h) the ratio starts at 1, but sigma a
was not sampled from it: each term of the sum is wrong by the factor pi_old(a | h) / pi_old(sigma a
| sigma h). The probability of sigma a after sigma h under the mixture of all renamed behaviours is
correct too, but needs the weight of each of the n! renamings given sigma h.

The correct ratio starts at 1 only if pi_old is *equivariant*, pi_old^sigma = pi_old. Otherwise it
starts away from 1, clipping takes effect, and pi_theta^sigma would reach other histories than
these. The bound of Schulman et al. (2015), applied to pi_theta^sigma, gives the cost:

    J(pi_theta) >= J(pi_old) + E[rho A] - C max KL(pi_old(. | h) || pi_theta^sigma(. | h)) over h.

So this divergence, as a mean over the steps, is subtracted with a coefficient. It is the trust
region of the renamed part, and pulls the policy towards equivariance. It is exact, because the
rollout stores the behaviour policy's whole distribution. Action masks belong to the history and are
renamed with it. The divergence that stops the actor is still that of the original histories.

Source: Schulman et al. 2015 (arXiv 1502.05477), theorem 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from rl3_sb3.env_attributes import declared
from rl3_sb3.ranks import this_rank
from rl3_sb3.rollout.buffer import SequenceBatch
from rl3_sb3.rollout.segments import Ids
from rl3_sb3.to_device import to_device
from rl3_sb3.update.transformation import Transformation


@dataclass(frozen=True, eq=False)
class Symmetry:
    """The entries of a token that belong to actions, and how much to learn from renaming them.

    Use it only for tasks with `Discrete` actions that are exchangeable, or that have the given
    transformations.

    Args:
        entries: Shape (n_groups, n_actions). Each row holds the indices of a token's entries that
            belong to action 0, 1, and so on, such as the one-hot of the previous action.
        share: Probability that a sequence is relabelled, in [0, 1]; drawn again in each epoch.
        coef: Weight of the divergence from the relabelled behaviour, at least 0.
        transformations: The transformations under which the tasks stay equally likely, each drawn
            equally often. With the identity among them, some sequences stay as they were played.
            Empty: the actions are exchangeable, and all permutations are drawn.
        state: The indices of a token's entries that transformations change, shape (d,). Empty:
            tokens do not show the state.

    Raises:
        ValueError: An argument is out of range, or an entry occurs twice.

    >>> Symmetry([[0, 1, 2], [6, 7, 8]]).n_actions
    3
    """

    entries: npt.NDArray[np.int64]
    share: float = 1.0
    coef: float = 1.0
    transformations: Sequence[Transformation] = ()
    state: Sequence[int] = ()

    def __post_init__(self) -> None:
        entries = np.array(self.entries)
        if (
            entries.ndim != 2
            or entries.size == 0
            or entries.dtype.kind not in "iu"
            or len(np.unique(entries)) != entries.size
            or entries.min() < 0
        ):
            raise ValueError(
                "`entries` must hold different indices of a token's entries, one row of n_actions "
                f"for each group, got {self.entries!r}. Use Symmetry.of(env) for our wrappers."
            )
        object.__setattr__(self, "entries", entries.astype(np.int64))
        object.__setattr__(self, "transformations", tuple(self.transformations))
        self._check_state()
        if not 0 <= self.share <= 1:
            raise ValueError(f"`share` must be in [0, 1], got {self.share}.")
        if not 0 <= self.coef < np.inf:
            raise ValueError(f"`coef` must be finite and at least 0, got {self.coef}.")

    def _check_state(self) -> None:
        state = np.array(self.state) if len(self.state) > 0 else np.empty(0, np.int64)
        if state.ndim != 1 or state.dtype.kind not in "iu" or (state < 0).any():
            raise ValueError(
                f"`state` must hold indices of a token's entries, shape (d,), got {self.state!r}."
            )
        everything = np.concatenate([state, self.entries.ravel()])
        if len(np.unique(everything)) != len(everything):
            raise ValueError(
                "`state` must hold different indices of a token's entries, none of them among "
                f"`entries`, got {self.state!r} and {self.entries.tolist()}."
            )
        object.__setattr__(self, "state", tuple(state.tolist()))
        if len(state) > 0 and not self.transformations:
            raise ValueError(
                f"`state` must be left out without `transformations`, got {state.tolist()}: where "
                "actions are exchangeable, states stay as they are."
            )
        for i, each in enumerate(self.transformations):
            if not isinstance(each, Transformation):
                raise ValueError(f"`transformations[{i}]` must be a Transformation, got {each!r}.")
            if len(each.new_labels) != self.n_actions or len(state) not in (0, len(each.origin)):
                raise ValueError(
                    f"`transformations[{i}]` must be of {self.n_actions} actions and of states of "
                    f"{len(state)} entries, as in `entries` and `state`, got "
                    f"{len(each.new_labels)} and {len(each.origin)}."
                )

    @classmethod
    def of(
        cls,
        env: VecEnv | gymnasium.Env[Any, Any],
        *,
        transformations: Sequence[Transformation] = (),
        **options: Any,
    ) -> Self:
        """Create it for an environment that declares which parts belong to actions.

        Our wrappers do, by `layout`, `layout_space` and `action_parts`. Transformations change
        their part "state", if it is shown. Without them, it is assumed to belong to no action.

        Args:
            env: An environment as for `TransformerPPO`. No wrapper may reorder its observations, or
                scale the entries of different actions differently, as VecNormalize does. Nor may
                one scale the state, unless `transformations` are of what it shows.
            transformations: See the class.
            **options: `share` and `coef`.

        Raises:
            ValueError: The parts are not declared, or a wrapper has changed the observations or
                normalises them.
        """
        known = ("action_parts", "layout", "layout_space")
        names, layout, layout_space = (_attribute(env, name) for name in known)
        if not names or layout is None or layout_space is None:
            raise ValueError(
                "`env` must have the attributes `layout`, `layout_space` and `action_parts`, the "
                f"names of the parts with one entry per action, got action_parts = {names!r}. Wrap "
                "it in a MetaEpisode, add `action_parts` to its estimator, or pass "
                "Symmetry(entries)."
            )
        if not _is_shown(env.observation_space, layout_space):
            raise ValueError(
                f"`env` must show the parts {', '.join(layout)} as their wrapper does, got "
                f"observations in {env.observation_space}. Leave out the wrapper in between, or "
                "pass Symmetry(entries)."
            )
        places = _places(env.observation_space, layout)
        rows = [_entries(places[name]) for name in names]
        state = _entries(places.get("state", slice(0, 0))) if transformations else range(0)
        if not _normalized(env).isdisjoint([*state, *chain.from_iterable(rows)]):
            raise ValueError(
                "`env` must scale the entries of all actions alike, got a VecNormalize, which "
                "scales each by its own statistics. Leave it out, or let it normalise rewards only "
                "(norm_obs=False)."
            )
        if transformations:
            options |= {"transformations": transformations, "state": state}
        return cls(np.array(rows), **options)

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return int(self.entries.shape[1])

    def require_fits(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        critic_only: str = "",
    ) -> None:
        """Raise ValueError unless this symmetry fits the spaces.

        Args:
            observation_space: The space whose observations are flattened into tokens.
            action_space: The action space.
            critic_only: The key that comes last in tokens, see `rl3_sb3.tokens`; "" for none.
        """
        if not isinstance(action_space, spaces.Discrete) or action_space.n != self.n_actions:
            raise ValueError(
                f"`symmetry` must be of the actions {action_space}, which must be Discrete, got "
                f"{self.n_actions} of them. Leave it out, or use Symmetry.of(env)."
            )
        if critic_only and isinstance(observation_space, spaces.Dict):
            last = max(observation_space)
            if critic_only != last:
                raise ValueError(
                    f"`critic_only` must be the last key in sorted order, {last!r}, beside a "
                    f"`symmetry`, got {critic_only!r}: tokens have it last, so that the entries "
                    "would be shifted. Give it a later name, such as one that begins with z."
                )
        n_entries = get_flattened_obs_dim(observation_space)
        largest = max([*self.entries.ravel(), *self.state])
        if largest >= n_entries:
            raise ValueError(
                f"`symmetry` must name entries of tokens, which have {n_entries}, got "
                f"{largest} (from 0). Use Symmetry.of(env) for our wrappers."
            )

    def draw(self, n_sequences: int) -> Relabelling:
        """Draw for each sequence whether it is relabelled, and by which permutation.

        Args:
            n_sequences: Number of this rank's sequences.
        """
        # One draw from NumPy's global generator, as in `SequenceRolloutBuffer.deal`: it stays in
        # the same state on all ranks. The rank makes their relabellings differ.
        drawn = np.random.randint(2**32, dtype=np.uint64)  # noqa: NPY002
        rng = np.random.default_rng([int(drawn), this_rank()])
        chosen = rng.random(n_sequences) < self.share
        same = np.tile(np.arange(self.n_actions), (n_sequences, 1))
        if not self.transformations:
            new_labels = np.where(chosen[:, None], rng.permuted(same, axis=1), same)
            return Relabelling(self, new_labels, chosen)
        number = rng.integers(len(self.transformations), size=n_sequences)
        labels = np.array([each.new_labels for each in self.transformations])
        new_labels = np.where(chosen[:, None], labels[number], same)
        return Relabelling(self, new_labels, chosen, number)


class Relabelling(NamedTuple):
    """New numbers of the actions, one permutation for each sequence of a rollout.

    Attributes:
        symmetry: The symmetry that drew them.
        new_labels: sigma, the new number of each action; shape (n_sequences, n_actions).
        chosen: True for the sequences that are relabelled, shape (n_sequences,).
        number: The transformation of each relabelled sequence, shape (n_sequences,); None where
            actions are exchangeable.
    """

    symmetry: Symmetry
    new_labels: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.bool_]
    number: npt.NDArray[np.int64] | None = None

    def of(self, batch: SequenceBatch, ids: Ids) -> SequenceBatch:
        """Return a minibatch with its actions relabelled.

        Args:
            batch: The original minibatch.
            ids: Numbers of its sequences in the rollout, shape (B,).
        """
        old_labels = np.argsort(self.new_labels[ids], axis=1)  # sigma^-1, (B, A)
        # Entry k of a relabelled token is entry origin[k] of the original: with entries
        # [[2, 3]] of a token of four, exchanging both actions gives [0, 1, 3, 2].
        origin = np.tile(np.arange(batch.tokens.shape[-1]), (len(ids), 1))
        for group in self.symmetry.entries:
            origin[:, group] = group[old_labels]
        scale, shift = np.ones(origin.shape, np.float32), np.zeros(origin.shape, np.float32)
        if self.number is not None and len(self.symmetry.state) > 0:
            rows = np.flatnonzero(self.chosen[ids])
            state, drawn = np.array(self.symmetry.state), self.number[ids][rows]
            known = self.symmetry.transformations
            origin[np.ix_(rows, state)] = state[np.array([each.origin for each in known])[drawn]]
            scale[np.ix_(rows, state)] = np.array([each.scale for each in known])[drawn]
            shift[np.ix_(rows, state)] = np.array([each.shift for each in known])[drawn]
        device = batch.tokens.device
        new = to_device(self.new_labels[ids], device)
        old = to_device(old_labels, device)
        B, T = batch.actions.shape
        tokens = _picked(batch.tokens, to_device(origin, device))
        if self.number is not None:
            tokens = tokens * to_device(scale, device)[:, None] + to_device(shift, device)[:, None]
        return batch._replace(
            tokens=tokens,
            actions=new.gather(1, batch.actions.long()).to(batch.actions),
            params=_picked(batch.params, old),
            action_masks=None if batch.action_masks is None else _picked(batch.action_masks, old),
            relabelled=to_device(self.chosen[ids], device)[:, None].expand(B, T),
        )


def _attribute(env: VecEnv | gymnasium.Env[Any, Any], name: str) -> Any:
    """Return an attribute that all environments share; None if they do not have it."""
    if isinstance(env, VecEnv):
        first, *others = declared(env, name)
        if any(other is not first and other != first for other in others):
            raise ValueError(
                f"`env` must have one `{name}` for all environments, got {first} and others. Train "
                "separately, or pass Symmetry(entries)."
            )
        return first
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None


def _is_shown(space: spaces.Space[Any], layout_space: spaces.Space[Any]) -> bool:
    """Return whether observations still have the layout: the same length, and a Dict if it was."""
    lengths = {get_flattened_obs_dim(each) for each in (space, layout_space)}
    return len(lengths) == 1 and type(space) is type(layout_space)


def _normalized(env: VecEnv | gymnasium.Env[Any, Any]) -> set[int]:
    """Return the entries of a token that SB3's VecNormalize scales, each by itself."""
    found: set[int] = set()
    while isinstance(env, VecEnvWrapper):
        if isinstance(env, VecNormalize) and env.norm_obs:
            space = env.observation_space
            if isinstance(space, spaces.Dict):
                places = _places_of_keys(space)
                assert env.norm_obs_keys is not None, "SB3 fills it in"
                found.update(*(_entries(places[key]) for key in env.norm_obs_keys))
            else:
                found.update(range(get_flattened_obs_dim(space)))
        env = env.venv
    return found


def _places(space: spaces.Space[Any], layout: Mapping[str, slice]) -> dict[str, slice]:
    """Return the slice of each part of an observation in a token."""
    if isinstance(space, spaces.Dict) and set(space) == set(layout):
        return _places_of_keys(space)
    return dict(layout)


def _places_of_keys(space: spaces.Dict) -> dict[str, slice]:
    """Return the slice of each key of an observation in a token."""
    lengths = [get_flattened_obs_dim(space[name]) for name in sorted(space)]
    stops = np.cumsum(lengths).tolist()
    return {
        name: slice(stop - length, stop)
        for name, length, stop in zip(sorted(space), lengths, stops, strict=True)
    }


def _entries(place: slice) -> range:
    return range(place.start, place.stop)


def _picked(x: th.Tensor, origin: th.Tensor) -> th.Tensor:
    """Return x (B, T, n) with entry k of each step of sequence b taken from entry origin[b, k]."""
    return x.gather(2, origin[:, None].expand(x.shape))
