"""A causal transformer for whole sequences, and for single steps with a cache.

Training passes whole sequences, acting passes one token at a time. Both compute the same function
of the tokens so far,

    h_t = LayerNorm(MLP(x_t)) [+ p_t],
    h_t <- LayerNorm(h_t + sum_{j <= t} softmax_j(q_t . k_j / sqrt(d_head)) v_j),
    h_t <- LayerNorm(h_t + FeedForward(h_t)),            (the last two lines once per layer)
    y_t = W ReLU(h_t) + b,

either with learned positions p_t, or without p_t and with queries and keys rotated in each layer
(see `positions`). The causal pass computes all t at once in O(T^2). The cached step stores the keys
k_j and values v_j of earlier tokens, and adds token t in O(t).

Source: the architecture of RL3 (arXiv 2306.15909, Appendix C), with post-norm decoder layers, gelu
feed-forward and learned positions.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch as th
import torch.nn.functional as F
from torch import nn

from rl3_sb3.networks.attention import Places, require_own_tokens
from rl3_sb3.networks.attention_cache import AttentionCache
from rl3_sb3.networks.decoder_layer import DecoderLayer
from rl3_sb3.networks.mlp import Mlp
from rl3_sb3.networks.network import Tensors
from rl3_sb3.networks.positions import LEARNED, POSITIONS, ROTARY, factors, rotations
from rl3_sb3.networks.remembering import RememberingModule
from rl3_sb3.networks.shapes import (
    BYTES_PER_NUMBER,
    Shapes,
    linear_shapes,
    norm_shapes,
    require_positive,
)

# Learned positions start small compared with the unit-variance tokens they are added to, so that a
# token is at first almost the same at every position.
_POSITION_INIT_STD = 0.02


class CausalTransformer(RememberingModule):
    """A causal transformer from token vectors to output vectors, with a cache for acting.

    Args:
        input_dim: Length of a token vector, at least 1.
        output_dim: Length of an output vector, at least 1.
        context_length: Largest number of tokens in a sequence.
        d_model: Width, a multiple of `n_heads`; for rotary positions an even multiple.
        n_layers: Number of decoder layers.
        n_heads: Number of attention heads per layer.
        d_ff: Hidden width of the feed-forward parts.
        input_hidden: Hidden width of the MLP that embeds a token.
        positions: "rotary" or "learned", see `rl3_sb3.networks.positions`.
        mixed_precision: Whether to compute matrix products and store the cache in bfloat16.
            Weights, their gradients and the output layer keep the precision of the weights.
        cpu_kernels: Whether to compute whole sequences, and steps of at least 16 rows, on one CPU
            thread with `rl3_sb3.cpu_kernels`, if they support it. False: always with torch, whose
            rounding differs.

    Raises:
        ValueError: A size is below 1, `d_model` is not a multiple of `n_heads`, `positions` is
            unknown, or rotary positions are requested for heads of odd width.
    """

    SIZES: ClassVar[tuple[str, ...]] = (
        "context_length",
        "d_model",
        "n_layers",
        "n_heads",
        "d_ff",
        "input_hidden",
    )
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"positions": POSITIONS}
    positions: nn.Parameter | None
    rotations: th.Tensor | None

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        context_length: int,
        *,
        d_model: int = 64,
        n_layers: int = 2,
        n_heads: int = 4,
        d_ff: int = 256,
        input_hidden: int = 256,
        positions: str = ROTARY,
        mixed_precision: bool = False,
        cpu_kernels: bool = True,
    ) -> None:
        super().__init__()
        self.mixed_precision = mixed_precision
        require_positive(input_dim=input_dim, output_dim=output_dim)
        self.check_sizes(
            context_length=context_length,
            d_model=d_model,
            n_layers=n_layers,
            n_heads=n_heads,
            d_ff=d_ff,
            input_hidden=input_hidden,
            positions=positions,
        )
        self.context_length = context_length
        self.embedding = Mlp(
            nn.Linear(input_dim, input_hidden),
            nn.ReLU(),  # not in place: on a view, its gradient would copy everything twice
            nn.Linear(input_hidden, d_model),
            nn.LayerNorm(d_model),
            cpu_kernels=cpu_kernels,
        )
        learned, turns = None, None
        if positions == LEARNED:
            learned = nn.Parameter(th.randn(context_length, d_model) * _POSITION_INIT_STD)
        else:  # one more position than the context, for the bootstrap token
            turns = rotations(context_length + 1, d_model // n_heads)
        self.register_parameter("positions", learned)
        self.register_buffer("rotations", turns, persistent=False)  # constants, not weights
        self.layers = nn.ModuleList(
            DecoderLayer(d_model, n_heads, d_ff, cpu_kernels=cpu_kernels) for _ in range(n_layers)
        )
        self.head = nn.Linear(d_model, output_dim)
        self._cache_shape = (n_heads, context_length, d_model // n_heads)

    @staticmethod
    def check_sizes(*, d_model: int, n_heads: int, positions: str = LEARNED, **sizes: int) -> None:
        """Raise ValueError if the constructor would reject these sizes and positions."""
        require_positive(d_model=d_model, n_heads=n_heads, **sizes)
        if d_model % n_heads != 0:
            raise ValueError(
                f"`d_model` must be a multiple of `n_heads` = {n_heads}, got {d_model}. "
                f"Use {n_heads * max(1, d_model // n_heads)} or another number of heads."
            )
        if positions not in POSITIONS:
            raise ValueError(
                f"`positions` must be one of {', '.join(POSITIONS)}, got {positions!r}."
            )
        if positions == ROTARY and d_model // n_heads % 2 == 1:
            raise ValueError(
                f"`d_model` must give each of `n_heads` = {n_heads} heads an even width for rotary "
                f"positions, got {d_model}. Use {d_model + n_heads}, or learned positions."
            )

    @staticmethod
    def weight_shapes(
        input_dim: int,
        output_dim: int,
        *,
        context_length: int,
        d_model: int,
        n_layers: int,
        n_heads: int,
        d_ff: int,
        input_hidden: int,
        positions: str,
    ) -> Shapes:
        """Return the names and shapes of the weights; `n_heads` does not affect them."""
        shapes: Shapes = {}
        if positions == LEARNED:
            shapes["positions"] = (context_length, d_model)
        shapes |= linear_shapes("embedding.0", input_dim, input_hidden)
        shapes |= linear_shapes("embedding.2", input_hidden, d_model)
        shapes |= norm_shapes("embedding.3", d_model)
        for i in range(n_layers):
            layer = f"layers.{i}"
            shapes |= linear_shapes(f"{layer}.qkv", d_model, 3 * d_model)
            shapes |= linear_shapes(f"{layer}.projection", d_model, d_model)
            shapes |= norm_shapes(f"{layer}.attention_norm", d_model)
            shapes |= linear_shapes(f"{layer}.feed_forward.0", d_model, d_ff)
            shapes |= linear_shapes(f"{layer}.feed_forward.2", d_ff, d_model)
            shapes |= norm_shapes(f"{layer}.output_norm", d_model)
        return shapes | linear_shapes("head", d_model, output_dim)

    @staticmethod
    def memory_bytes(
        *,
        context_length: int,
        n_layers: int,
        d_model: int,
        mixed_precision: bool = False,
        **_: Any,
    ) -> int:
        """Return the bytes of one row's cache: keys and values of each layer."""
        per_number = th.bfloat16.itemsize if mixed_precision else BYTES_PER_NUMBER
        return 2 * per_number * n_layers * context_length * d_model

    def forward(self, x: th.Tensor, *, bootstrap: bool = False) -> th.Tensor:
        """Return the outputs of whole sequences: output t depends on the tokens up to t only.

        Args:
            x: Shape (B, T, input_dim).
            bootstrap: Allow one token beyond the context, for the value of the observation after an
                episode that was truncated with a full context. Outputs of earlier tokens do not
                change. (With learned positions, it shares the last one.)

        Returns:
            Shape (B, T, output_dim).

        Raises:
            ValueError: The sequences are longer than the context.
        """
        T = x.shape[1]
        longest = self.context_length + int(bootstrap)
        if T > longest:
            raise ValueError(
                f"`x` must have at most {longest} tokens per sequence, got {T}. "
                "Raise `context_length` or cut the sequences."
            )
        with self._precision(x.device):
            h, turns = self.embedded(x)
            for layer in self.layers:
                h = layer(h, turns)
        return self.output(h)

    def embedded(self, x: th.Tensor) -> tuple[th.Tensor, th.Tensor | None]:
        """Return the inputs of the first layer for whole sequences, and the layers' rotations.

        Args:
            x: Shape (B, T, input_dim), at most one token beyond the context.

        Returns:
            The inputs, shape (B, T, d_model), and `turns` for the layers; None without rotations.
        """
        T = x.shape[1]
        h = self.embedding(x)
        if self.positions is not None:
            positions = self.positions[:T]
            if T > self.context_length:
                positions = th.cat([positions, positions[-1:]])
            h = h + positions
        return h, None if self.rotations is None else factors(self.rotations[:T])

    def output(self, h: th.Tensor) -> th.Tensor:
        """Return the outputs (..., output_dim), given those of the last layer (..., d_model)."""
        out: th.Tensor = self.head(F.relu(h.to(self.head.weight.dtype)))
        return out

    def _precision(self, device: th.device) -> th.autocast:
        return th.autocast(device.type, th.bfloat16, enabled=self.mixed_precision)

    def new_memory(self, n_rows: int, replaced: AttentionCache | None = None) -> AttentionCache:
        """Return an empty cache for `n_rows` sequences.

        Its storage is zeros, because masked entries are multiplied by 0, and uninitialised memory
        may contain NaN: 0 times NaN is NaN.

        Args:
            n_rows: Number of rows.
            replaced: An earlier cache of n_rows rows, whose storage is reused.
        """
        if replaced is not None:
            storage = replaced.storage
        else:
            n_heads, context_length, head_dim = self._cache_shape
            # A tensor created in inference mode cannot be written to outside of it.
            with th.inference_mode(False):
                storage = self.head.weight.new_zeros(
                    (len(self.layers), 2, n_rows, n_heads, context_length, head_dim),
                    dtype=th.bfloat16 if self.mixed_precision else None,
                ).detach()
        return AttentionCache(storage, np.zeros(n_rows, dtype=np.int64), self.weight_version)

    @th.no_grad()
    def step(
        self, x: th.Tensor, cache: AttentionCache, hidden: th.Tensor | None = None
    ) -> tuple[th.Tensor, AttentionCache]:
        """Append one token to each row and return its output, without gradients.

        If all rows hold the same number of tokens (aligned), they are written and read as a slice.
        Otherwise (ragged), each row is written at its own position and attends with a mask.

        Args:
            x: The next token of each row, shape (B, input_dim).
            cache: The result of `new_memory` or of the last `step`, with rows reset where episodes
                start.
            hidden: True at tokens that the new token must not attend to, shape (B, T), where T is
                the length of the longest row with the new token. It serves to measure what a token
                contributes. None: none.

        Returns:
            The outputs, shape (B, output_dim), and the cache for the next step.

        Raises:
            ValueError: The batch size is not the cache's, a row is full, the weights changed
                since the cache was filled, or a token is hidden from itself.
        """
        self.require_room(x.shape[0], cache)
        if hidden is not None:
            require_own_tokens(~hidden[np.arange(len(x)), cache.positions])
            hidden = hidden[:, None, None]
        on_host = cache.positions if hidden is None else None
        position, length = int(cache.positions.max()), int(cache.positions.max()) + 1
        if int(cache.positions.min()) == position:
            aligned = Places((slice(None), slice(None), position), length, hidden, on_host)
            out = self._append(x, cache.storage, position, aligned)
        else:
            positions = th.as_tensor(cache.positions, device=x.device)
            ragged = _ragged(positions, length, hidden)._replace(positions=on_host)
            out = self._append(x, cache.storage, positions, ragged)
        return out, cache._replace(positions=cache.positions + 1)

    @th.no_grad()
    def static_step(self, x: th.Tensor, cache: AttentionCache, tensors: Tensors) -> Tensors:
        """Do what `step` does without reading positions on the host, so that it can be replayed.

        Each row attends with a mask to the whole context. Repeating the call repeats its writes.

        Args:
            x: The next token of each row, shape (B, input_dim).
            cache: The cache; its storage is read and written.
            tensors: The positions, on the device, shape (B,), all below the context length.

        Returns:
            The outputs, shape (B, output_dim), and the next positions.
        """
        (positions,) = tensors
        places = _ragged(positions, self.context_length)
        out = self._append(x, cache.storage, positions, places)
        return out, positions + 1

    def _append(
        self, x: th.Tensor, storage: th.Tensor, position: int | th.Tensor, places: Places
    ) -> th.Tensor:
        with self._precision(x.device):
            h = self.embedding(x)
            if self.positions is not None:
                h = h + self.positions[position]
            turns = None if self.rotations is None else factors(self.rotations[position])
            for layer, (keys, values) in zip(self.layers, storage, strict=True):
                h = layer.step(h, keys, values, places, turns)  # type: ignore[operator]
        return self.output(h)

    def require_room(self, n_rows: int, cache: AttentionCache) -> None:
        """Raise ValueError unless a token can be appended to each of the cache's rows.

        Args:
            n_rows: Number of tokens.
            cache: The cache passed to `step`.
        """
        self.require_own(cache.weight_version, len(cache.positions), n_rows)
        if cache.positions.max() >= self.context_length:
            row = int(cache.positions.argmax())
            raise ValueError(
                f"`memory` must have room for another token, got row {row} with "
                f"{cache.positions[row]} of `context_length` = {self.context_length} tokens. "
                "Reset the row when an episode starts (`episode_start` in predict), or train "
                "with `n_steps` and `context_length` that cover the longest episode."
            )


def _ragged(positions: th.Tensor, length: int, hidden: th.Tensor | None = None) -> Places:
    """Return the places of new tokens at different positions, shape (B,); see `Places`."""
    rows = th.arange(len(positions), device=positions.device)
    # beyond[b, 0, 0, j]: entry j is after row b's new token.
    # positions (0, 2) -> [[0, 1, 1], [0, 0, 0]]
    beyond = (th.arange(length, device=positions.device) > positions[:, None])[:, None, None]
    if hidden is not None:
        beyond |= hidden
    return Places((rows, slice(None), positions), length, beyond, None)
