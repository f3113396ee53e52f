"""Copy numbers from the host to the device without waiting.

A GPU works through its queue while the host prepares what comes next. An ordinary copy interrupts
this, because it returns only when everything before it is done. A copy from pinned memory, which
the operating system may not move, is just one more item in the queue.
"""

from typing import Any

import numpy.typing as npt
import torch as th


def to_device(numbers: npt.NDArray[Any] | th.Tensor, device: th.device) -> th.Tensor:
    """Return host numbers as a tensor on the device, without waiting for a GPU.

    Args:
        numbers: An array or a tensor on the host. On a CPU the result shares its memory.
        device: The target device.
    """
    tensor = th.as_tensor(numbers)
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # torch keeps it until the copy is done
    return tensor.to(device, non_blocking=True)
