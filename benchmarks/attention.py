"""What causal attention costs on one core: ours beside torch's, forward and with its gradient.

A batch holds about `tokens` tokens in sequences of T, as a piece of a minibatch does. Both take the
queries, keys and values as one product leaves them, shape (B, T, 3, n_heads, head_dim), and are
timed in turns. The rate counts the operations that causality leaves, 2 T D for each token and
head forward and 5 T D backward; "of peak" divides it by the rate of the fastest large matrix
product found.

Only the ratios travel between machines. Run:

    OMP_NUM_THREADS=1 python benchmarks/attention.py
    OMP_NUM_THREADS=1 python benchmarks/attention.py --smoke            (seconds; no figures)
"""

import dataclasses
import statistics
import time
from collections.abc import Callable

import torch as th
from arithmetic import peak_rate
from command_line import parse

from rl3_sb3 import one_core
from rl3_sb3.attention import torch_attention


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    lengths: tuple[int, ...] = (20, 50, 100, 250, 512, 1024, 2048)
    """Tokens of a sequence, T."""
    head_dims: tuple[int, ...] = (16, 32)
    """Width of a head, D."""
    n_heads: int = 4
    """Heads."""
    tokens: int = 2000
    """Tokens of a batch, rounded to whole sequences."""
    repeats: int = 40
    """Timings of each; the median is reported."""
    smoke: bool = False
    """Tiny sizes: only shows that all works."""


def timed(function: Callable[..., object], argument: object) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def measure(args: Arguments, T: int, D: int, peak: float) -> float:
    """Report one shape; return ours over torch's, forward and gradient together."""
    B = max(1, args.tokens // T)
    qkv = th.randn(B, T, 3, args.n_heads, D, requires_grad=True)
    weights = th.randn(B, T, args.n_heads, D)
    attentions = {"ours": one_core.causal_attention, "torch": torch_attention}
    forward: dict[str, list[float]] = {name: [] for name in attentions}
    both: dict[str, list[float]] = {name: [] for name in attentions}

    def with_gradient(attention: Callable[[th.Tensor], th.Tensor]) -> None:
        th.autograd.grad(attention(qkv), qkv, weights)

    for repeat in range(args.repeats + 3):
        for name, attention in attentions.items():
            with th.no_grad():
                first = timed(attention, qkv)
            second = timed(with_gradient, attention)
            if repeat >= 3:  # compiled and warm
                forward[name].append(first)
                both[name].append(second)
    middle = {name: statistics.median(times) for name, times in both.items()}
    paired = [x / y for x, y in zip(both["ours"], both["torch"], strict=True)]
    low, *_, high = statistics.quantiles(paired, n=10)
    operations = 7 * B * args.n_heads * T * T * D
    of_peak = {name: operations / seconds / peak for name, seconds in middle.items()}
    print(
        f"T = {T:<5} D = {D:<4} forward {statistics.median(forward['ours']) * 1e3:6.2f} ms "
        f"(torch {statistics.median(forward['torch']) * 1e3:6.2f}), with gradient "
        f"{middle['ours'] * 1e3:6.2f} (torch {middle['torch'] * 1e3:6.2f}): "
        f"{statistics.median(paired):.2f}x (tenth to ninth tenth {low:.2f}-{high:.2f}); "
        f"of peak {of_peak['ours']:.0%} (torch {of_peak['torch']:.0%})",
        flush=True,
    )
    return statistics.median(paired)


def main(args: Arguments) -> dict[str, float]:
    """Print the table; return the ratios by "T/D"."""
    th.set_num_threads(1)
    if args.smoke:
        args = dataclasses.replace(args, lengths=(10, 20), head_dims=(8,), tokens=40, repeats=2)
    peak = peak_rate("cpu")
    print(f"one thread, torch {th.__version__}, {peak / 1e9:.0f} GFLOP/s at best\n{args}")
    return {f"{T}/{D}": measure(args, T, D, peak) for D in args.head_dims for T in args.lengths}


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
