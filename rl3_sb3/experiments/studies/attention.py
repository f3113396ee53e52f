"""Find out what a transformer's decisions depend on: by attention, by gradients, and by ablation.

Sequences are meta-episodes x (n_tasks, H, C), with one observation per token, whose parts are given
by a layout. The starts of episodes and the current states are read from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.networks.attention_weights import attend
from rl3_sb3.networks.transformer import CausalTransformer
from rl3_sb3.sequence_policy import SequencePolicy

FloatArray = npt.NDArray[np.float64]
Layout = Mapping[str, slice]

#: Groups of parts of an observation, by which gradients are reported.
PARTS: Mapping[str, tuple[str, ...]] = {
    "state": ("state",),
    "advantage": ("advantage",),
    "value": ("value",),
    "count": ("count",),
    "previous action": ("previous_action",),
    "previous reward": ("previous_reward",),
    "clocks": ("episode_time", "meta_time"),
}
SEES = ("all", "episode", "self")
#: Meta-episodes whose attention is kept at a time: 100 MB at H = 350.
_CHUNK = 25


def episodes_of(x: th.Tensor, layout: Layout) -> th.Tensor:
    """Return the number of each token's episode, shape (n_tasks, H), from 1."""
    return (x[..., layout["episode_time"]][..., 0] == 0).cumsum(1)


def distance_classes(episodes: th.Tensor) -> dict[str, th.Tensor]:
    """Return the class of each earlier token by its distance: bools (n_tasks, T, T).

    Each j <= t is in exactly one class of token t.

    Args:
        episodes: See `episodes_of`.
    """
    T = episodes.shape[1]
    back = th.arange(T)[:, None] - th.arange(T)  # t - j
    episodes_back = episodes[:, :, None] - episodes[:, None]
    earlier = back > 1
    return {
        "self": (back == 0).expand_as(episodes_back),
        "previous step": (back == 1).expand_as(episodes_back),
        "rest of this episode": earlier & (episodes_back == 0),
        "last episode": earlier & (episodes_back == 1),
        "older": earlier & (episodes_back > 1),
    }


@dataclass(frozen=True)
class Mass:
    """The distribution of attention.

    Attributes:
        by_distance: Class -> share of the mass, shape (n_layers, n_tasks, n_heads, T).
        uniform: Class -> its share if attention is uniform, shape (n_tasks, T).
        by_state: Mass on earlier tokens with the current state ("same state") and on those one step
            after such a token ("step after it"), like `by_distance`; empty without states.
        uniform_by_state: The same for uniform attention, (n_tasks, T).
    """

    by_distance: Mapping[str, FloatArray]
    uniform: Mapping[str, FloatArray]
    by_state: Mapping[str, FloatArray]
    uniform_by_state: Mapping[str, FloatArray]

    def lift(self, kind: str, steps: slice) -> FloatArray:
        """Return the share of such tokens in the mass on earlier tokens, relative to chance.

        Args:
            kind: A key of `by_state`.
            steps: The steps t to average over.

        Returns:
            Shape (n_layers, n_tasks, n_heads); 1 means chance.
        """
        mass = self.by_state[kind][..., steps].sum(-1)
        earlier = (1 - self.by_distance["self"])[..., steps].sum(-1)
        chance = self.uniform_by_state[kind][:, steps].sum(-1)
        chance = chance / (1 - self.uniform["self"])[:, steps].sum(-1)
        found: FloatArray = mass / earlier / chance[:, None]
        return found


@th.no_grad()
def attention_mass(network: CausalTransformer, x: th.Tensor, layout: Layout) -> Mass:
    """Return the distribution of a transformer's attention over earlier tokens.

    Args:
        network: An actor.
        x: Its meta-episodes, shape (n_tasks, H, C).
        layout: The layout of an observation.
    """
    distances = distance_classes(episodes_of(x, layout))
    states = _same_states(x, layout)
    masks = {**distances, **states}
    found: dict[str, list[FloatArray]] = {name: [] for name in masks}
    for first in range(0, len(x), _CHUNK):
        rows = slice(first, first + _CHUNK)
        weights = attend(network, x[rows]).weights  # (n_layers, n, n_heads, T, T)
        for name, mask in masks.items():
            shares = (weights * mask[rows, None]).sum(-1)
            found[name].append(shares.double().numpy())
    mass = {name: np.concatenate(chunks, axis=1) for name, chunks in found.items()}
    tokens = np.arange(1, x.shape[1] + 1)  # number of tokens that token t sees
    uniform = {name: mask.sum(-1).numpy() / tokens for name, mask in masks.items()}
    return Mass(
        by_distance={name: mass[name] for name in distances},
        uniform={name: uniform[name] for name in distances},
        by_state={name: mass[name] for name in states},
        uniform_by_state={name: uniform[name] for name in states},
    )


def _same_states(x: th.Tensor, layout: Layout) -> dict[str, th.Tensor]:
    """Return where earlier tokens j have token t's state, or come one step after it."""
    if "state" not in layout or layout["state"].stop - layout["state"].start == 1:
        return {}  # with a single state, all tokens are alike
    state = x[..., layout["state"]]
    same = (state[:, :, None] == state[:, None]).all(-1)  # (n_tasks, t, j)
    after = th.zeros_like(same)
    after[:, :, 1:] = same[:, :, :-1]
    return {"same state": same.tril(-1), "step after it": after.tril(-1)}


def gradient_shares(
    network: CausalTransformer, x: th.Tensor, layout: Layout, steps: Sequence[int]
) -> dict[str, FloatArray]:
    """Return the shares of the margin's squared gradient by parts and tokens.

    The margin is the difference between the two largest logits. The gradient of an input is
    multiplied by its standard deviation over all tasks and steps.

    Args:
        network: An actor with discrete actions.
        x: See `attention_mass`.
        layout: See `attention_mass`.
        steps: The steps whose margins are differentiated.

    Returns:
        Shares for "PART, now" (the current token) and "PART, before" (all earlier ones) of the
        parts that exist, each of shape (len(steps), n_tasks). They sum to 1.
    """
    deviation = x.flatten(0, 1).std(0)
    x = x.clone().requires_grad_()
    best = attend(network, x).outputs.topk(2, dim=-1).values
    margins = best[..., 0] - best[..., 1]
    names = [f"{part}, {when}" for part in PARTS for when in ("now", "before")]
    found: dict[str, list[FloatArray]] = {name: [] for name in names}
    for t in steps:
        (gradient,) = th.autograd.grad(margins[:, t].sum(), x, retain_graph=True)
        squares = (gradient * deviation).square().double()
        total = squares.sum((1, 2))
        for part, places in PARTS.items():
            own = [squares[..., layout[place]].sum(-1) for place in places if place in layout]
            if own:
                of_part = th.stack(own).sum(0) / total[:, None]  # (n_tasks, T)
                found[f"{part}, now"].append(of_part[:, t].numpy())
                found[f"{part}, before"].append(of_part[:, :t].sum(1).numpy())
    return {name: np.stack(shares) for name, shares in found.items() if shares}


class Watched(PolicyAgent):
    """A trained policy that stores its observations.

    Args:
        policy: The policy.
    """

    def __init__(self, policy: SequencePolicy) -> None:
        super().__init__(policy)
        self._batches: list[list[th.Tensor]] = []

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin with the next tasks."""
        super().start(n_tasks, seed)
        self._batches.append([])

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Choose actions for observations, and store these."""
        self._batches[-1].append(self._policy.to_tokens(seen.copy()))
        return super().act(seen)

    def sequences(self) -> th.Tensor:
        """Return the tokens of all meta-episodes, shape (n_tasks, H, C)."""
        return th.cat([th.stack(seen, dim=1) for seen in self._batches])


class Ablated(PolicyAgent):
    """A trained transformer without some of its inputs.

    Args:
        policy: The policy, whose actor is a `CausalTransformer`.
        title: Its name.
        layout: The layout of its observations.
        parts: Names of parts that are replaced by those of another task at the same step: task i
            sees those of task i - 1, during the whole meta-episode.
        only_remembered: Replace them only in the memory; the current step is shown unchanged.
        sees: The tokens that a token attends to: "all", those of its "episode", or only it"self".

    Raises:
        ValueError: There is no such part, or `sees` is something else.
    """

    def __init__(
        self,
        policy: SequencePolicy,
        title: str,
        layout: Layout,
        *,
        parts: Sequence[str] = (),
        only_remembered: bool = False,
        sees: str = "all",
    ) -> None:
        super().__init__(policy, title)
        if sees not in SEES:
            raise ValueError(f"`sees` must be one of {', '.join(SEES)}, got {sees!r}.")
        for part in parts:
            if part not in layout:
                raise ValueError(f"`parts` must be of {', '.join(layout)}, got {part!r}.")
        self._layout, self._parts, self._sees = layout, parts, sees
        self._only_remembered = only_remembered
        self._starts: list[npt.NDArray[np.bool_]] = []

    def start(self, n_tasks: int, seed: int) -> None:
        """Forget the previous tasks."""
        super().start(n_tasks, seed)
        self._starts = []

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Choose actions for the changed observations."""
        self._starts.append(seen[:, self._layout["episode_time"]][:, 0] == 0)
        left = seen.copy()
        for part in self._parts:
            left[:, self._layout[part]] = np.roll(seen[:, self._layout[part]], 1, axis=0)
        actor: Any = self._policy.actor
        before, hidden, remembered = self._state, self._hidden(), self._policy.to_tokens(left)
        shown = self._policy.to_tokens(seen) if self._only_remembered else remembered
        logits, self._state = actor.step(shown, before, hidden)
        if self._only_remembered:  # overwrite the token that was just shown
            _, self._state = actor.step(remembered, before, hidden)
        actions = self._policy.distribution(logits).sample()
        chosen: npt.NDArray[np.int64] = self._policy.to_env_actions(actions)
        return chosen

    def _hidden(self) -> th.Tensor | None:
        """Return the tokens that the newest one must not see, shape (n_tasks, t + 1)."""
        if self._sees == "all":
            return None
        starts = np.stack(self._starts, axis=1)
        hidden = np.ones(starts.shape, np.bool_)
        if self._sees == "episode":
            episodes = starts.cumsum(axis=1)
            hidden = episodes != episodes[:, -1:]
        hidden[:, -1] = False
        return th.as_tensor(hidden)
