"""A network without memory: two hidden ReLU layers on the current token.

It answers how much of a result is memory: with value estimates and counts in the observation, a
policy that forgets all else can still do well ("RL3 (Markov)" in arXiv 2306.15909).
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
    """What a memoryless network remembers."""

    def reset_rows(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Return itself."""
        return self

    def tensors(self) -> Tensors:
        """Return none."""
        return ()

    def stepped(self, tensors: Tensors) -> Self:
        """Return itself."""
        return self


class MemorylessNetwork(nn.Module):
    """From each token on its own to an output.

    Args:
        input_dim: Length of a token.
        output_dim: Length of an output.
        context_length: Not used; files of exported policies have held it from the first.
        hidden: Width of both hidden layers.

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
        """Return outputs, (..., output_dim), of tokens, (..., input_dim), however many."""
        out: th.Tensor = self.head(self.body(tokens))
        return out

    def new_memory(self, n_rows: int, replaced: NoMemory | None = None) -> NoMemory:
        """Return the empty memory that it stays."""
        return NoMemory()

    def require_room(self, n_rows: int, memory: NoMemory) -> None:
        """Do nothing: nothing is kept."""

    @th.no_grad()
    def step(self, token: th.Tensor, memory: NoMemory) -> tuple[th.Tensor, NoMemory]:
        """Return outputs, (B, output_dim), of tokens, (B, input_dim), and the memory."""
        return self(token), memory

    @th.no_grad()
    def static_step(self, token: th.Tensor, memory: NoMemory, tensors: Tensors) -> Tensors:
        """Return outputs, (B, output_dim), of tokens, (B, input_dim)."""
        return (self(token),)

    def invalidate_memories(self) -> None:
        """Do nothing: what holds nothing is never stale."""
