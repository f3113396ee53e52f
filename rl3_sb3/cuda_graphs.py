"""Calls that a GPU replays as CUDA graphs, where `TransformerPPO(cuda_graphs=True)` asks for it.

No GPU has run this yet; its tests are `pytest -m gpu`. Without it a GPU is called as a CPU is.

The networks are small, so a GPU spends most of a call waiting for the host to launch the next of
several hundred kernels. A CUDA graph records the launches of one call and replays them all at once.
It reads and writes the same memory each time: inputs are copied to where the recorded call found
them, and outputs lie where it left them.

Hence what a function must be to be replayed: a function of tensors whose shapes recur (scalars that
vary are tensors too), that asks the GPU nothing (no `.item()`, no sizes that depend on values), and
whose other effects can bear repetition.
"""

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch as th

Tensors = tuple[th.Tensor, ...]

# cuBLAS and the allocator settle in the first calls; torch's own documentation makes three.
_WARM_UPS = 3

# Each holds the memory of its intermediate results. Ragged rollouts would make one per shape.
_MOST_GRAPHS = 4


class Replayed:
    """A function of tensors that a GPU runs from a recording; elsewhere it is called as it is.

    A shape that comes twice is recorded; shapes beyond the first few are computed without.

    Args:
        function: See the module.
        record: False calls it as it is on GPUs too.
    """

    def __init__(self, function: Callable[..., Tensors], *, record: bool) -> None:
        self._function = function
        self._record = record
        self._recordings: dict[tuple[th.Size, ...], _Recording | None] = {}

    def __call__(self, *inputs: th.Tensor) -> Tensors:
        """Return the function's outputs; on a GPU the next call may overwrite them.

        Args:
            inputs: All on one device.
        """
        if not (self._record and _can_record(inputs[0].device)):
            return self._function(*inputs)
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._recordings:
            self._recordings[shapes] = None  # may never come again
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
    """One call as a CUDA graph."""

    def __init__(self, function: Callable[..., Tensors], inputs: Tensors) -> None:
        device = inputs[0].device
        self._inputs = [tensor.clone() for tensor in inputs]
        # What recording draws must not count: a run that goes on records anew.
        random_state = th.cuda.get_rng_state(device)
        stream = _side_stream(device)
        # torch records the *current* device: a graph of another one's work would be empty.
        with th.cuda.device(device), _garbage_stays():
            stream.wait_stream(th.cuda.current_stream())
            with th.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    function(*self._inputs)
            th.cuda.current_stream().wait_stream(stream)
            th.cuda.set_rng_state(random_state, device)
            self._graph = th.cuda.CUDAGraph()
            # Other threads (NCCL's watchdog) may speak to the GPU meanwhile.
            with th.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                self._outputs = function(*self._inputs)

    def replay(self, inputs: Tensors) -> Tensors:
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._outputs


@functools.cache
def _side_stream(device: th.device) -> th.cuda.Stream:
    # One for all recordings: cuBLAS keeps megabytes of working memory for every stream it has met,
    # and what it took while warming up it need not take while recording.
    return th.cuda.Stream(device)  # type: ignore[no-untyped-call] # torch's


@contextmanager
def _garbage_stays() -> Iterator[None]:
    """Free nothing by surprise: a recording fails if an older one is destroyed meanwhile.

    Those of a model that was dropped wait for the garbage collector, as its parts refer to each
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
