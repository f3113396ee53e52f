"""A network without memory: two hidden ReLU layers on the current token.

It measures how much of a result is due to memory: if the observation contains value estimates and
counts, a policy without memory can still perform well ("RL3 (Markov)" in arXiv 2306.15909).
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn

from rl3_sb3.networks.network import Tensors
from rl3_sb3.networks.shapes import Shapes, linear_shapes, require_positive


class NoMemory(NamedTuple):
    """The empty memory of a memoryless network."""

    def reset_rows(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Return itself."""
        return self

    def tensors(self) -> Tensors:
        """Return an empty tuple."""
        return ()

    def stepped(self, tensors: Tensors) -> Self:
        """Return itself."""
        return self


class MemorylessNetwork(nn.Module):
    """A network that maps each token separately to an output.

    Args:
        input_dim: Length of a token, at least 1.
        output_dim: Length of an output, at least 1.
        context_length: Unused, at least 1; kept because files of exported policies contain it.
        hidden: Width of both hidden layers, at least 1.

    Raises:
        ValueError: A size is below 1.
    """

    SIZES: ClassVar[tuple[str, ...]] = ("context_length", "hidden")
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(
        self, input_dim: int, output_dim: int, context_length: int, *, hidden: int = 64
    ) -> None:
        super().__init__()
        require_positive(input_dim=input_dim, output_dim=output_dim)
        self.check_sizes(context_length=context_length, hidden=hidden)
        self.body = nn.Sequential(
            nn.Linear(input_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.head = nn.Linear(hidden, output_dim)

    @staticmethod
    def check_sizes(**sizes: int) -> None:
        """Raise ValueError if a size is below 1."""
        require_positive(**sizes)

    @staticmethod
    def weight_shapes(
        input_dim: int, output_dim: int, *, hidden: int, context_length: int
    ) -> Shapes:
        """Return the names and shapes of the weights."""
        return {
            **linear_shapes("body.0", input_dim, hidden),
            **linear_shapes("body.2", hidden, hidden),
            **linear_shapes("head", hidden, output_dim),
        }

    @staticmethod
    def memory_bytes(**sizes: int) -> int:
        """Return 0."""
        return 0

    def forward(self, tokens: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return the outputs (..., output_dim) of tokens (..., input_dim)."""
        out: th.Tensor = self.head(self.body(tokens))
        return out

    def new_memory(self, n_rows: int, replaced: NoMemory | None = None) -> NoMemory:
        """Return the empty memory."""
        return NoMemory()

    def require_room(self, n_rows: int, memory: NoMemory) -> None:
        """Do nothing: an empty memory always has room."""

    @th.no_grad()
    def step(self, token: th.Tensor, memory: NoMemory) -> tuple[th.Tensor, NoMemory]:
        """Return the outputs (B, output_dim) of tokens (B, input_dim), and the memory."""
        return self(token), memory

    @th.no_grad()
    def static_step(self, token: th.Tensor, memory: NoMemory, tensors: Tensors) -> Tensors:
        """Return the outputs (B, output_dim) of tokens (B, input_dim)."""
        return (self(token),)

    def invalidate_memories(self) -> None:
        """Do nothing: an empty memory is never stale."""
