"""A recurrent network: torch's LSTM after one hidden layer.

    x'_t = ReLU(A x_t + a),   (h_t, c_t) = LSTM(x'_t, h_{t-1}, c_{t-1}),   y_t = W h_t + b

with h_0 = c_0 = 0. (The LSTM's input product is the second layer of the embedding.) Whole sequences
are one call of torch's LSTM. The memory is h and c, and sequences may have any length.

Source: Hochreiter and Schmidhuber 1997; as the memory of meta-learners, Wang et al. 2016 (arXiv
1611.05763) and, with a GRU, RL2 (arXiv 1611.02779).
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn

from rl3_sb3.networks.network import Tensors
from rl3_sb3.networks.remembering import RememberingModule
from rl3_sb3.networks.shapes import BYTES_PER_NUMBER, Shapes, linear_shapes, require_positive
from rl3_sb3.to_device import to_device

_N_GATES = 4  # input, forget, cell, output: torch stacks their weights


class LstmMemory(NamedTuple):
    """The state of each row after its tokens so far; its tensors are never modified.

    Attributes:
        hidden: h, shape (n_layers, B, hidden).
        cell: c, shape (n_layers, B, hidden).
        weight_version: The version of the weights that computed it.
    """

    hidden: th.Tensor
    cell: th.Tensor
    weight_version: int

    def reset_rows(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Return the memory with these rows reset to before their first token.

        Args:
            rows: Shape (B,): True where a new episode starts.
        """
        empty = to_device(np.asarray(rows)[:, None], self.hidden.device)  # (B, 1)
        return self._replace(
            hidden=self.hidden.masked_fill(empty, 0), cell=self.cell.masked_fill(empty, 0)
        )

    def tensors(self) -> Tensors:
        """Return h and c."""
        return self.hidden, self.cell

    def stepped(self, tensors: Tensors) -> Self:
        """Return the memory with the h and c returned by a static step."""
        hidden, cell = tensors
        return self._replace(hidden=hidden, cell=cell)


class Lstm(RememberingModule):
    """An LSTM from token vectors to output vectors.

    Args:
        input_dim: Length of a token, at least 1.
        output_dim: Length of an output, at least 1.
        hidden: Length of the LSTM's h and c, at least 1.
        n_layers: Number of stacked LSTM layers, at least 1.
        input_hidden: Width of the layer before the LSTM, at least 1.

    Raises:
        ValueError: A size is below 1.
    """

    SIZES: ClassVar[tuple[str, ...]] = ("hidden", "n_layers", "input_hidden")
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        hidden: int = 64,
        n_layers: int = 1,
        input_hidden: int = 64,
    ) -> None:
        super().__init__()
        require_positive(input_dim=input_dim, output_dim=output_dim)
        self.check_sizes(hidden=hidden, n_layers=n_layers, input_hidden=input_hidden)
        self.embedding = nn.Sequential(nn.Linear(input_dim, input_hidden), nn.ReLU())
        self.lstm = nn.LSTM(input_hidden, hidden, n_layers, batch_first=True)
        self.head = nn.Linear(hidden, output_dim)

    @staticmethod
    def check_sizes(**sizes: int) -> None:
        """Raise ValueError if a size is below 1."""
        require_positive(**sizes)

    @staticmethod
    def weight_shapes(
        input_dim: int, output_dim: int, *, hidden: int, n_layers: int, input_hidden: int
    ) -> Shapes:
        """Return the names and shapes of the weights."""
        shapes = linear_shapes("embedding.0", input_dim, input_hidden)
        for layer in range(n_layers):
            n_in = input_hidden if layer == 0 else hidden
            shapes[f"lstm.weight_ih_l{layer}"] = (_N_GATES * hidden, n_in)
            shapes[f"lstm.weight_hh_l{layer}"] = (_N_GATES * hidden, hidden)
            shapes[f"lstm.bias_ih_l{layer}"] = (_N_GATES * hidden,)
            shapes[f"lstm.bias_hh_l{layer}"] = (_N_GATES * hidden,)
        return shapes | linear_shapes("head", hidden, output_dim)

    @staticmethod
    def memory_bytes(*, hidden: int, n_layers: int, **_: int) -> int:
        """Return the bytes of one row's memory: h and c of each layer."""
        return 2 * BYTES_PER_NUMBER * n_layers * hidden

    def forward(self, tokens: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return the outputs (B, T, output_dim) of sequences (B, T, input_dim) of any length T."""
        remembered, _ = self.lstm(self.embedding(tokens))
        out: th.Tensor = self.head(remembered)
        return out

    def new_memory(self, n_rows: int, replaced: LstmMemory | None = None) -> LstmMemory:
        """Return the memory of rows before their first token."""
        zeros = self.head.weight.new_zeros(self.lstm.num_layers, n_rows, self.lstm.hidden_size)
        return LstmMemory(zeros, zeros, self.weight_version)

    def require_room(self, n_rows: int, memory: LstmMemory) -> None:
        """Raise ValueError unless `memory` has n_rows rows and comes from the current weights."""
        self.require_own(memory.weight_version, memory.hidden.shape[1], n_rows)

    @th.no_grad()
    def step(self, token: th.Tensor, memory: LstmMemory) -> tuple[th.Tensor, LstmMemory]:
        """Return the outputs, (B, output_dim), of each row's next token, and the next memory.

        Args:
            token: Shape (B, input_dim).
            memory: The result of `new_memory` or of the last step, with rows reset where episodes
                start.

        Raises:
            ValueError: The memory has another number of rows or comes from other weights.
        """
        self.require_room(len(token), memory)
        out, *tensors = self.static_step(token, memory, memory.tensors())
        return out, memory.stepped(tuple(tensors))

    @th.no_grad()
    def static_step(self, token: th.Tensor, memory: LstmMemory, tensors: Tensors) -> Tensors:
        """Return the outputs, (B, output_dim), h and c.

        Args:
            token: Shape (B, input_dim).
            memory: Ignored; `tensors` holds all of it.
            tensors: h and c before this token.
        """
        hidden, cell = tensors
        # (B, C) -> (B, 1, C): a sequence of one token
        _, (hidden, cell) = self.lstm(self.embedding(token).unsqueeze(1), (hidden, cell))
        return self.head(hidden[-1]), hidden, cell
