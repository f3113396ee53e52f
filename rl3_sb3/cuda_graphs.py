"""Replay the networks' calls on a GPU as CUDA graphs, for `TransformerPPO(cuda_graphs=True)`.

No GPU has run this yet; its tests are `pytest -m gpu`. Without it, a GPU runs the same calls as a
CPU.

The networks are small, so a GPU spends most of a call waiting for the host to launch the next of
several hundred kernels. A CUDA graph records the launches of one call and replays them all at once.
It always reads and writes the same memory: inputs are copied to where the recorded call read them,
and outputs are found where it wrote them.

A function can therefore be replayed only if it

- takes tensors whose shapes recur (scalars that vary must be tensors too);
- never reads a value back from the GPU (no `.item()`, no sizes that depend on values);
- has no side effects that must not be repeated.
"""

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch as th

Tensors = tuple[th.Tensor, ...]

# cuBLAS and the allocator allocate in the first calls. torch's documentation warms up three times.
_WARM_UPS = 3

# Each graph keeps the memory of its intermediate results. Ragged rollouts would need one per shape.
_MOST_GRAPHS = 4


class Replayed:
    """A function of tensors that a GPU runs from a recording; other devices call it directly.

    A call is recorded when its shapes occur for the second time. After the first few recordings,
    further shapes are computed without one.

    Args:
        function: A function that can be replayed, see the module.
        record: False calls it directly on GPUs too.
    """

    def __init__(self, function: Callable[..., Tensors], *, record: bool) -> None:
        self._function = function
        self._record = record
        self._recordings: dict[tuple[th.Size, ...], _Recording | None] = {}

    def __call__(self, *inputs: th.Tensor) -> Tensors:
        """Return the function's outputs; on a GPU the next call may overwrite them.

        Args:
            inputs: Tensors on one device.
        """
        if not (self._record and _can_record(inputs[0].device)):
            return self._function(*inputs)
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._recordings:
            self._recordings[shapes] = None  # these shapes may never recur
            return self._function(*inputs)
        recording = self._recordings[shapes]
        if recording is None:
            if sum(r is not None for r in self._recordings.values()) == _MOST_GRAPHS:
                return self._function(*inputs)
            recording = self._recordings[shapes] = _Recording(self._function, inputs)
        return recording.replay(inputs)


def _can_record(device: th.device) -> bool:
    return device.type == "cuda"


class _Recording:
    """A CUDA graph of one call."""

    def __init__(self, function: Callable[..., Tensors], inputs: Tensors) -> None:
        device = inputs[0].device
        self._inputs = [tensor.clone() for tensor in inputs]
        # Restored below, so that recording draws no random numbers: a resumed run records again.
        random_state = th.cuda.get_rng_state(device)
        stream = _side_stream(device)
        # torch records the *current* device: a graph of another device's work would be empty.
        with th.cuda.device(device), _garbage_stays():
            stream.wait_stream(th.cuda.current_stream())
            with th.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    function(*self._inputs)
            th.cuda.current_stream().wait_stream(stream)
            th.cuda.set_rng_state(random_state, device)
            self._graph = th.cuda.CUDAGraph()
            # Other threads (NCCL's watchdog) may call the GPU meanwhile.
            with th.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                self._outputs = function(*self._inputs)

    def replay(self, inputs: Tensors) -> Tensors:
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._outputs


@functools.cache
def _side_stream(device: th.device) -> th.cuda.Stream:
    # One for all recordings: cuBLAS keeps megabytes of workspace per stream. It allocates them in
    # the warm-up, and not while recording.
    return th.cuda.Stream(device)  # type: ignore[no-untyped-call] # torch's


@contextmanager
def _garbage_stays() -> Iterator[None]:
    """Disable garbage collection: a recording fails if an older one is destroyed meanwhile.

    A dropped model's recordings wait for the garbage collector, because its parts refer to each
    other.
    """
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
