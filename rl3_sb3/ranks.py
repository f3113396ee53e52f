"""Processes that train one policy together, over `torch.distributed`.

Each process (a *rank*) steps its own share of the environments and holds a whole copy of the
policy. They stay one training run because everything that decides something is the same on all of
them: gradients, advantage statistics, losses and the divergence are sums over the ranks, counters
count the steps of all, and every rank draws from equally seeded generators.

Without a process group, or in a group of one, every function here returns what it was given.

The group is torch's default one; `torchrun` sets the variables that `joined_ranks` reads:

    torchrun --nproc-per-node 2 script.py
"""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch as th
import torch.distributed as dist

T = TypeVar("T")


def n_ranks() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def this_rank() -> int:
    """Return this process's number, from 0; rank 0 is the one that writes files."""
    return dist.get_rank() if n_ranks() > 1 else 0


def sum_over_ranks(tensor: th.Tensor) -> th.Tensor:
    """Add up a tensor over the ranks, in place, and return it.

    All ranks get the same bits.
    """
    if n_ranks() > 1:
        dist.all_reduce(tensor)
    return tensor


def gather_over_ranks(value: T) -> list[T]:
    """Return every rank's value, in the order of the ranks; it must be picklable."""
    if n_ranks() == 1:
        return [value]
    values: list[T] = [value] * n_ranks()
    dist.all_gather_object(values, value)
    return values


def from_first_rank(value: T) -> T:
    """Return rank 0's value; what the others pass is ignored."""
    return gather_over_ranks(value)[0]


def own_share(everything: Sequence[T]) -> Sequence[T]:
    """Return this rank's part of what is shared out, in order; parts differ by one at most."""
    n, rank = n_ranks(), this_rank()
    return everything[len(everything) * rank // n : len(everything) * (rank + 1) // n]


def any_rank(flag: bool) -> bool:
    """Return whether the flag is set on any rank: one answer for all of them."""
    return bool(sum_over_ranks(th.tensor(float(flag))))


def copy_from_first_rank(tensors: Iterable[th.Tensor]) -> None:
    """Overwrite tensors with rank 0's."""
    if n_ranks() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def copy_optimizer_from_first_rank(optimizer: th.optim.Optimizer, device: th.device) -> None:
    """Overwrite an optimizer's state with rank 0's, of which the others may have none yet."""
    if n_ranks() > 1:
        own = io.BytesIO()
        th.save(optimizer.state_dict(), own)
        first = io.BytesIO(from_first_rank(own.getvalue()))
        optimizer.load_state_dict(th.load(first, device, weights_only=True))


def launched_ranks() -> int:
    """Return how many processes the launcher (torchrun) says there are; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined_ranks(device: str = "auto") -> Iterator[str]:
    """Join the processes that `torchrun` started, for the length of a `with` block.

    Args:
        device: "auto" takes the rank's own CUDA device if there are any.

    Yields:
        The device of this process, as SB3 takes it. Without a launcher, the one given.
    """
    if launched_ranks() == 1:
        yield device
        return
    on_gpu = device.startswith("cuda") or (device == "auto" and th.cuda.is_available())
    if on_gpu:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        th.cuda.set_device(device)
    # Small host tensors travel over gloo either way.
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield device if on_gpu else "cpu"
        dist.barrier()  # whoever left first would break the others' connections
    finally:
        dist.destroy_process_group()
