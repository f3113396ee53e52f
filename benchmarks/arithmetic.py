"""The least time that a training iteration's arithmetic takes: its operations over the peak rate.

Operations are counted from the networks' sizes: a forward pass over N tokens does 2 N W operations
for W weights in matrices, and 2 N T C per layer for causal attention over T tokens of width C (half
of all pairs, twice: scores and weighted sum). A backward pass does twice as many. Everything else
(norms, activations, the optimizer, copies) counts as nothing, so the limit cannot be reached.

The peak rate is measured: the largest of a few square matrix products in the precision used.
"""

import time

import torch as th
from torch import nn

from rl3_sb3 import TransformerPPO


def iteration_operations(model: TransformerPPO) -> float:
    """Return the floating-point operations of one iteration in which the actor never stops."""
    policy, T = model.policy, model.n_steps
    n_tokens = model.n_envs * T
    actor, critic = (_forward_operations(net, n_tokens, T) for net in (policy.actor, policy.critic))
    # collecting; the critic's pass; per epoch gradients (forward and twice as much backward) of
    # both, and the divergence
    return actor + critic + model.n_epochs * (3 * (actor + critic) + actor)


def _forward_operations(network: nn.Module, n_tokens: int, T: int) -> float:
    matrices = [m.weight.numel() for m in network.modules() if isinstance(m, nn.Linear)]
    layers = getattr(network, "layers", [])
    attention = sum(2 * T * layer.projection.in_features for layer in layers)
    return float(n_tokens * (2 * sum(matrices) + attention))


def peak_rate(device: str, dtype: th.dtype = th.float32) -> float:
    """Return the operations a second of the fastest large matrix product found."""
    sizes = (4096, 8192) if device.startswith("cuda") else (512, 1024, 2048)
    return max(_product_rate(size, device, dtype) for size in sizes)


def _product_rate(size: int, device: str, dtype: th.dtype) -> float:
    a, b = th.randn(2, size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        synchronize(device)
        start = time.perf_counter()
        a @ b
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def synchronize(device: str) -> None:
    """Wait until a GPU has done what it was told."""
    if device.startswith("cuda"):
        th.cuda.synchronize()
