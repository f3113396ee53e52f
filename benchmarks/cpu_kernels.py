"""What a transformer's parts cost on one core: ours beside torch's, forward and with gradients.

A batch holds about `tokens` tokens in sequences of T, as a piece of a minibatch does. Attention
takes the queries, keys and values as one product leaves them, shape (B, T, 3, n_heads, head_dim);
the MLPs are the policy's own, the embedding without a gradient of its input. Ours and torch's are
timed in turns. Rates count the operations that causality leaves, 7 T D for each token and head, and
6 for each weight of an MLP and token (4 without the input's gradient); "of peak" divides by the
rate of the fastest large matrix product found.

"Steps" are the T steps of acting, in one layer: in each, every row of a rollout of `rollout` tokens
attends to its tokens so far.

Only the ratios travel between machines. Run:

    OMP_NUM_THREADS=1 python benchmarks/cpu_kernels.py
    OMP_NUM_THREADS=1 python benchmarks/cpu_kernels.py --smoke             (seconds; no figures)
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch as th
from arithmetic import peak_rate
from command_line import parse
from torch import nn

from rl3_sb3 import cpu_kernels
from rl3_sb3.networks.attention import Places, cached_attention, torch_attention

_WARM_UPS = 3


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    lengths: tuple[int, ...] = (20, 50, 100, 250, 512, 1024, 2048)
    """Tokens of a sequence, T."""
    head_dims: tuple[int, ...] = (16, 32)
    """Width of a head, D."""
    n_heads: int = 4
    """Heads."""
    observation: int = 29
    """Length of the embedding's input."""
    d_model: int = 64
    """Width of the MLPs' outputs, and of the feed-forward part's input."""
    d_hidden: int = 256
    """Units between the MLPs' layers."""
    tokens: int = 2000
    """Tokens of a batch, rounded to whole sequences."""
    rollout: int = 32768
    """Tokens of a rollout, rounded to whole sequences."""
    repeats: int = 40
    """Timings of each; the median is reported."""
    rounds: int = 6
    """Timings of the steps; all but the first count."""
    smoke: bool = False
    """Tiny sizes: only shows that all works."""


class Part(NamedTuple):
    """A computation in two ways."""

    name: str
    ours: Callable[[th.Tensor], th.Tensor]
    torchs: Callable[[th.Tensor], th.Tensor]
    x: th.Tensor
    parameters: Sequence[th.Tensor]
    operations: float


def attention(args: Arguments, T: int, D: int) -> Part:
    """Return causal attention over sequences of T tokens."""
    B = max(1, args.tokens // T)
    qkv = th.randn(B, T, 3, args.n_heads, D, requires_grad=True)
    operations = 7 * B * args.n_heads * T * T * D
    return Part(
        f"attention T = {T:<5} D = {D:<4}",
        cpu_kernels.causal_attention,
        torch_attention,
        qkv,
        [qkv],
        operations,
    )


def feed_forward(args: Arguments) -> Part:
    """Return the MLP of a layer."""
    layers = [nn.Linear(args.d_model, args.d_hidden), nn.GELU()]
    x = th.randn(1, args.tokens, args.d_model, requires_grad=True)
    return mlp("feed-forward", x, [*layers, nn.Linear(args.d_hidden, args.d_model)], 6)


def embedding(args: Arguments) -> Part:
    """Return the MLP that embeds observations, which have no gradient."""
    layers = [nn.Linear(args.observation, args.d_hidden), nn.ReLU()]
    x = th.randn(1, args.tokens, args.observation)
    return mlp("embedding", x, [*layers, nn.Linear(args.d_hidden, args.d_model)], 4)


def mlp(name: str, x: th.Tensor, layers: list[nn.Module], per_weight: int) -> Part:
    """Return linear, activation, linear; `per_weight` counts the first layer's operations."""
    network = nn.Sequential(*layers)
    first, second = (layer.weight.numel() for layer in (layers[0], layers[2]))
    return Part(
        f"{name:<25}",
        lambda x: cpu_kernels.mlp(x, *layers),
        network,
        x,
        [*network.parameters(), *([x] if x.requires_grad else [])],
        x.shape[1] * (first * per_weight + second * 6),
    )


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(args: Arguments, part: Part, peak: float) -> float:
    """Report one part; return ours over torch's, forward and gradients together."""
    ways = {"ours": part.ours, "torch": part.torchs}
    forward: dict[str, list[float]] = {name: [] for name in ways}
    both: dict[str, list[float]] = {name: [] for name in ways}
    weights = th.randn_like(part.ours(part.x))
    for repeat in range(args.repeats + _WARM_UPS):
        for name, way in ways.items():
            with th.no_grad():
                first = seconds(lambda way=way: way(part.x))
            second = seconds(
                lambda way=way: th.autograd.grad(way(part.x), part.parameters, weights)
            )
            if repeat >= _WARM_UPS:
                forward[name].append(first)
                both[name].append(second)
    middle = {name: statistics.median(times) for name, times in both.items()}
    paired = [x / y for x, y in zip(both["ours"], both["torch"], strict=True)]
    low, *_, high = statistics.quantiles(paired, n=10)
    of_peak = {name: part.operations / time / peak for name, time in middle.items()}
    print(
        f"{part.name} forward {statistics.median(forward['ours']) * 1e3:6.2f} ms "
        f"(torch {statistics.median(forward['torch']) * 1e3:6.2f}), with gradients "
        f"{middle['ours'] * 1e3:6.2f} (torch {middle['torch'] * 1e3:6.2f}): "
        f"{statistics.median(paired):.2f}x (tenth to ninth tenth {low:.2f}-{high:.2f}); "
        f"of peak {of_peak['ours']:.0%} (torch {of_peak['torch']:.0%})",
        flush=True,
    )
    return statistics.median(paired)


def measure_steps(args: Arguments, T: int, D: int) -> tuple[str, float]:
    """Report the T steps of one layer's attention in a rollout; return their name and the ratio."""
    rows = max(16, args.rollout // T)
    qkv = th.randn(rows, 3, args.n_heads, D)
    keys, values = th.zeros(2, rows, args.n_heads, T, D)

    def act(ours: bool) -> None:
        for t in range(T):
            places = Places((slice(None), slice(None), t), t + 1, None, np.full(rows, t))
            cached_attention(qkv, keys, values, places, cpu_kernels=ours)

    times = [(seconds(lambda: act(True)), seconds(lambda: act(False))) for _ in range(args.rounds)]
    paired = [ours / torchs for ours, torchs in times[1:]]  # the first round warms up
    ours, torchs = (statistics.median(ways) for ways in zip(*times[1:], strict=True))
    name = f"steps T = {T} D = {D}"
    print(
        f"{name:<25} {ours:6.3f} s (torch {torchs:6.3f}): {statistics.median(paired):.2f}x "
        f"({min(paired):.2f}-{max(paired):.2f})",
        flush=True,
    )
    return name, statistics.median(paired)


def main(args: Arguments) -> dict[str, float]:
    """Print the table; return the ratios by the parts' names."""
    th.set_num_threads(1)
    if args.smoke:
        args = dataclasses.replace(
            args,
            lengths=(10, 20),
            head_dims=(16,),
            tokens=40,
            rollout=320,
            repeats=2,
            rounds=2,
            d_hidden=16,
        )
    peak = peak_rate("cpu")
    print(f"one thread, torch {th.__version__}, {peak / 1e9:.0f} GFLOP/s at best\n{args}")
    parts = [attention(args, T, D) for D in args.head_dims for T in args.lengths]
    parts += [feed_forward(args), embedding(args)]
    found = {part.name: measure(args, part, peak) for part in parts}
    return found | dict(measure_steps(args, T, D) for D in args.head_dims for T in args.lengths)


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
