"""What a policy asks of a network, and all it may know of how a network remembers.

A network is one function of the tokens so far, called in two ways. Training gives whole sequences;
acting gives one token at a time, with a *memory* of those before:

    memory = network.new_memory(n_rows)
    output, memory = network.step(token, memory)      # the same as network(tokens)[:, t]
    memory = memory.reset_rows(starts)                # where the next token starts an episode

What is in a memory is the network's own business: others keep it, pass it on and reset its rows. A
step returns another memory. Stepping twice from one gives the same output twice; a memory filled
before the weights changed raises.

A GPU may replay a recording of one step (see `cuda_graphs`), which can only be a function of
tensors, of the same shapes each time:

    output, *tensors = network.static_step(token, memory, memory.tensors())
    memory = memory.stepped(tensors)                  # by now on the host's side

A further network is a file beside this one with a class like `Network`, and a policy in
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
    """What a network remembers of some rows, each an episode of its own."""

    def reset_rows(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Return the memory with these rows empty.

        Args:
            rows: Shape (B,): True where a new episode starts.
        """

    def tensors(self) -> Tensors:
        """Return what changes from step to step, as small tensors on the network's device."""

    def stepped(self, tensors: Tensors) -> Self:
        """Return the memory after a static step.

        Args:
            tensors: What the step returned after its outputs.
        """


M = TypeVar("M", bound=Memory)


class Network(Protocol[M]):
    """A network from tokens to outputs, and what is known of it by its arguments alone.

    The constructor takes the length of a token, the length of an output, and named arguments.

    Attributes:
        SIZES: The arguments that say what the weights are: integers above 0. Files of exported
            policies hold them.
        CHOICES: The arguments that say by a text what is computed, with the texts that each may be;
            the first is what files mean that are older than the choice. Other arguments say how to
            compute, not what.
        head: The last layer.
    """

    SIZES: ClassVar[tuple[str, ...]]
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]]
    head: nn.Linear

    def __init__(self, input_dim: int, output_dim: int, **arguments: Any) -> None: ...

    # *_ and **sizes together: to a type checker, any arguments by name.

    @staticmethod
    def check_sizes(*_: Any, **sizes: Any) -> None:
        """Raise ValueError if no network has these sizes (with these choices)."""

    @staticmethod
    def weight_shapes(*dims: Any, **sizes: Any) -> Shapes:
        """Return the names and shapes of the weights, for input and output of these dims."""

    @staticmethod
    def memory_bytes(*_: Any, **sizes: Any) -> int:
        """Return how many bytes the memory of one row takes."""

    def __call__(self, tokens: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return the outputs of whole sequences; output t depends on the tokens up to t.

        Args:
            tokens: Shape (B, T, input_dim).
            bootstrap: One more token than fits may come: the observation after an episode that was
                truncated at the longest length. No earlier output depends on it.

        Returns:
            Shape (B, T, output_dim).
        """

    def new_memory(self, n_rows: int, replaced: M | None = None) -> M:
        """Return an empty memory.

        Args:
            n_rows: How many rows.
            replaced: A memory of as many rows that is of no use any more, whose storage the new one
                may use.
        """

    def require_room(self, n_rows: int, memory: M) -> None:
        """Raise ValueError unless so many rows can step from this memory, with these weights."""

    def step(self, token: th.Tensor, memory: M) -> tuple[th.Tensor, M]:
        """Return the outputs, (B, output_dim), of each row's next token, and the next memory.

        Args:
            token: Shape (B, input_dim).
            memory: What `new_memory` or the last step returned.

        Raises:
            ValueError: See `require_room`.
        """

    def static_step(self, token: th.Tensor, memory: M, tensors: Tensors) -> Tensors:
        """Do what `step` does as a function of tensors, which can be recorded and repeated.

        Args:
            token: Shape (B, input_dim).
            memory: Read for what stays in its place, not for what changes.
            tensors: What changes, as the memory's `tensors` gives it.

        Returns:
            The outputs, followed by the next `tensors`.
        """

    def invalidate_memories(self) -> None:
        """Make every memory filled so far raise; to be called whenever the weights change."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return the weights, as torch's modules do."""
