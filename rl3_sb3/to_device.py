"""The way of numbers from the host to the device.

A GPU works off what it is given while the host prepares what comes next. An ordinary copy ends
that: it returns only after everything before it is done. A copy from pinned memory, which the
operating system may not move, is one more thing to be worked off.
"""

from typing import Any

import numpy.typing as npt
import torch as th


def to_device(numbers: npt.NDArray[Any] | th.Tensor, device: th.device) -> th.Tensor:
    """Return host numbers as a tensor on the device, without waiting for a GPU.

    Args:
        numbers: An array or a tensor on the host. On a CPU the result shares its memory.
        device: Where to.
    """
    tensor = th.as_tensor(numbers)
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # torch keeps it until the copy is done
    return tensor.to(device, non_blocking=True)
