"""Train one policy in several processes, with `torch.distributed`.

Each process (a *rank*) steps its own share of the environments and holds a full copy of the policy.
All decisions are the same on every rank, so that they stay one training run: gradients, advantage
statistics, losses and the divergence are summed over the ranks, counters count the steps of all,
and the generators have the same seed.

Without a process group, or in a group of one, every function here returns its argument.

The group is torch's default group. `torchrun` sets the variables that `joined_ranks` reads:

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
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def this_rank() -> int:
    """Return this process's number, from 0. Only rank 0 writes files."""
    return dist.get_rank() if n_ranks() > 1 else 0


def sum_over_ranks(tensor: th.Tensor) -> th.Tensor:
    """Sum a tensor over the ranks in place, and return it. All ranks get the same bits."""
    if n_ranks() > 1:
        dist.all_reduce(tensor)
    return tensor


def gather_over_ranks(value: T) -> list[T]:
    """Return every rank's value, in the order of ranks. The value must be picklable."""
    if n_ranks() == 1:
        return [value]
    values: list[T] = [value] * n_ranks()
    dist.all_gather_object(values, value)
    return values


def from_first_rank(value: T) -> T:
    """Return rank 0's value; the values of other ranks are ignored."""
    return gather_over_ranks(value)[0]


def own_share(everything: Sequence[T]) -> Sequence[T]:
    """Return this rank's contiguous share; the sizes of shares differ by at most one."""
    n, rank = n_ranks(), this_rank()
    return everything[len(everything) * rank // n : len(everything) * (rank + 1) // n]


def any_rank(flag: bool) -> bool:
    """Return whether the flag is set on any rank; the answer is the same on all ranks."""
    return bool(sum_over_ranks(th.tensor(float(flag))))


def copy_from_first_rank(tensors: Iterable[th.Tensor]) -> None:
    """Overwrite tensors with those of rank 0."""
    if n_ranks() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def copy_optimizer_from_first_rank(optimizer: th.optim.Optimizer, device: th.device) -> None:
    """Overwrite an optimizer's state with rank 0's; other ranks may have no state yet."""
    if n_ranks() > 1:
        own = io.BytesIO()
        th.save(optimizer.state_dict(), own)
        first = io.BytesIO(from_first_rank(own.getvalue()))
        optimizer.load_state_dict(th.load(first, device, weights_only=True))


def launched_ranks() -> int:
    """Return the number of processes set by the launcher (torchrun); 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined_ranks(device: str = "auto") -> Iterator[str]:
    """Join the processes that `torchrun` started, within a `with` block.

    Args:
        device: The device; "auto" uses the rank's CUDA device if there are any.

    Yields:
        The device of this process, in SB3's form. Without a launcher, `device` itself.
    """
    if launched_ranks() == 1:
        yield device
        return
    on_gpu = device.startswith("cuda") or (device == "auto" and th.cuda.is_available())
    if on_gpu:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        th.cuda.set_device(device)
    # Small host tensors use gloo in both cases.
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield device if on_gpu else "cpu"
        dist.barrier()  # a rank that left first would break the others' connections
    finally:
        dist.destroy_process_group()
