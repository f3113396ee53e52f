"""The protocol of networks: whole sequences for training, single steps with a memory for acting.

A network is one function of the tokens so far, called in two ways. Training passes whole sequences.
Acting passes one token at a time, with a *memory* of the earlier ones:

    memory = network.new_memory(n_rows)
    output, memory = network.step(token, memory)      # the same as network(tokens)[:, t]
    memory = memory.reset_rows(starts)                # where the next token starts an episode

The content of a memory is private to the network: callers store it, pass it on and reset its rows.
A step returns another memory. Stepping twice from one memory with the same token gives the same
output. A memory filled before the weights changed raises an error.

A GPU can replay a recorded step (see `cuda_graphs`) if it is a function of tensors with fixed
shapes:

    output, *tensors = network.static_step(token, memory, memory.tensors())
    memory = memory.stepped(tensors)                  # updates the host's part of the memory

A new network is a file beside this one with a class like `Network`, and a policy in
`rl3_sb3.policy`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn

from rl3_sb3.networks.shapes import Shapes

Tensors = tuple[th.Tensor, ...]


class Memory(Protocol):
    """A network's memory of some rows, each a separate episode."""

    def reset_rows(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Return the memory with these rows empty.

        Args:
            rows: Shape (B,): True where a new episode starts.
        """

    def tensors(self) -> Tensors:
        """Return the parts that change with every step, as small tensors on the device."""

    def stepped(self, tensors: Tensors) -> Self:
        """Return the memory after a static step.

        Args:
            tensors: The tensors that the step returned after its outputs.
        """


M = TypeVar("M", bound=Memory)


class Network(Protocol[M]):
    """A network from tokens to outputs, with static methods that need only its arguments.

    The constructor takes the length of a token, the length of an output, and named arguments.

    Attributes:
        SIZES: Names of the arguments that determine the weights' shapes, integers above 0. Files
            of exported policies contain them.
        CHOICES: Names of the text arguments that determine what is computed, with the allowed
            texts. The first text is implied by files that are older than the choice. All other
            arguments only affect how it is computed.
        head: The last layer.
    """

    SIZES: ClassVar[tuple[str, ...]]
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]]
    head: nn.Linear

    def __init__(self, input_dim: int, output_dim: int, **arguments: Any) -> None: ...

    # A type checker accepts any named arguments for *_ and **sizes together.

    @staticmethod
    def check_sizes(*_: Any, **sizes: Any) -> None:
        """Raise ValueError if a network cannot have these sizes and choices."""

    @staticmethod
    def weight_shapes(*dims: Any, **sizes: Any) -> Shapes:
        """Return the names and shapes of the weights, for input and output of these dims."""

    @staticmethod
    def memory_bytes(*_: Any, **sizes: Any) -> int:
        """Return the bytes of one row's memory."""

    def __call__(self, tokens: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return the outputs of whole sequences; output t depends on the tokens up to t.

        Args:
            tokens: Shape (B, T, input_dim).
            bootstrap: Allow one token beyond the longest length: the observation after an episode
                that was truncated there. No earlier output depends on it.

        Returns:
            Shape (B, T, output_dim).
        """

    def new_memory(self, n_rows: int, replaced: M | None = None) -> M:
        """Return an empty memory.

        Args:
            n_rows: Number of rows.
            replaced: A memory of n_rows rows that is no longer needed; the new one may reuse its
                storage.
        """

    def require_room(self, n_rows: int, memory: M) -> None:
        """Raise ValueError unless n_rows tokens can step from this memory with these weights."""

    def step(self, token: th.Tensor, memory: M) -> tuple[th.Tensor, M]:
        """Return the outputs, (B, output_dim), of each row's next token, and the next memory.

        Args:
            token: Shape (B, input_dim).
            memory: The result of `new_memory` or of the last step.

        Raises:
            ValueError: `require_room` raises it.
        """

    def static_step(self, token: th.Tensor, memory: M, tensors: Tensors) -> Tensors:
        """Do what `step` does as a function of tensors, which can be recorded and replayed.

        Args:
            token: Shape (B, input_dim).
            memory: The memory; only parts with a fixed address are used.
            tensors: The parts that change, from the memory's `tensors`.

        Returns:
            The outputs, followed by the next `tensors`.
        """

    def invalidate_memories(self) -> None:
        """Make all existing memories invalid; call it whenever the weights change."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return the weights, as torch modules do."""
