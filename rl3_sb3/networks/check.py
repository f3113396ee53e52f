"""Check that a network of one's own is what the protocol asks for, see `Network`."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn

from rl3_sb3.networks.network import Network

_ROWS = 3
_INPUT_DIM = 5
_OUTPUT_DIM = 4

# Far above rounding in float32, far below what a wrong memory does with the weights drawn here.
_TOLERANCE = 1e-3


def check_network(network: type[Network[Any]], *, n_steps: int = 8, **arguments: Any) -> None:
    """Raise an error unless a network keeps what `rl3_sb3.networks.network.Network` asks for.

    A network is one function of the tokens so far, called in two ways: on whole sequences and step
    by step with a memory. PPO compares the results of both, so a difference would spoil training
    silently. This builds a network with random weights, and compares them.

    Args:
        network: The class.
        n_steps: Number of steps to compare, at least 2 and at most what the network can remember.
        **arguments: The network's own arguments; small sizes are enough. Those without a default
            must be given.

    Raises:
        TypeError: The network has not got the attributes and methods of the protocol, or takes
            other arguments.
        ValueError: What they do differs from the protocol.

    Example:
        >>> from rl3_sb3.networks.lstm import Lstm
        >>> check_network(Lstm, hidden=8, n_layers=2, input_hidden=10)
    """
    _check_methods(network)
    if n_steps < 2:
        raise ValueError(f"`n_steps` must be at least 2, got {n_steps!r}.")
    with th.random.fork_rng(devices=[]):
        th.manual_seed(0)
        built: Any = network(_INPUT_DIM, _OUTPUT_DIM, **arguments)
        _check_head(network, built)
        for weights in built.parameters():  # large ones, so that all that is remembered shows
            nn.init.normal_(weights, std=0.6)
        tokens = th.randn(_ROWS, n_steps, _INPUT_DIM)
    built.invalidate_memories()
    name = network.__name__
    with th.no_grad():
        _check_sequences(name, built, tokens)
        _check_steps(name, built, tokens)
        _check_resets(name, built, tokens)
        _check_stale(name, built, tokens)
    _check_sizes(network, built, arguments)


def _check_methods(network: Any) -> None:
    if not isinstance(network, type):
        raise TypeError(f"`network` must be a class, got {network!r}. Pass the class itself.")
    wanted = ["SIZES", "CHOICES", "parameters", "__call__"]
    wanted += [name for name in vars(Network) if not name.startswith("_")]
    if missing := [name for name in dict.fromkeys(wanted) if getattr(network, name, None) is None]:
        raise TypeError(
            "`network` must have the attributes of rl3_sb3.networks.network.Network, got "
            f"{network.__name__} without {', '.join(missing)}. Add them."
        )


def _check_head(network: type, built: Any) -> None:
    head = getattr(built, "head", None)
    if not isinstance(head, nn.Linear) or head.out_features != _OUTPUT_DIM:
        raise TypeError(
            f"`network` must have its last layer, an nn.Linear to {_OUTPUT_DIM} outputs here, as "
            f"`head`, got {network.__name__} with {head!r}."
        )


def _check_sequences(name: str, built: Any, tokens: th.Tensor) -> None:
    """Whole sequences: their shape, no look ahead, and one token more for bootstrapping."""
    out = built(tokens)
    wanted = (*tokens.shape[:2], _OUTPUT_DIM)
    if not isinstance(out, th.Tensor) or out.shape != wanted:
        got = tuple(out.shape) if isinstance(out, th.Tensor) else type(out).__name__
        raise ValueError(f"`{name}` must return outputs of shape {wanted} here, got {got}.")
    other = tokens.clone()
    other[:, -1] += 1
    seen = _difference(built(other)[:, :-1], out[:, :-1])
    if seen > _TOLERANCE:
        raise ValueError(
            f"`{name}` must not look ahead: output t depends on the tokens up to t. The last token "
            f"changed an earlier output by {seen:.2g}."
        )
    seen = _difference(built(tokens, bootstrap=True), out)
    if seen > _TOLERANCE:
        raise ValueError(
            f"`{name}` must give the same outputs with bootstrap=True, got others by {seen:.2g}."
        )


def _check_steps(name: str, built: Any, tokens: th.Tensor) -> None:
    """Steps: the outputs of whole sequences, and memories that stay as they are."""
    whole, memory = built(tokens), built.new_memory(_ROWS)
    for t in range(tokens.shape[1]):
        before = memory
        out, memory = built.step(tokens[:, t], before)
        if out.shape != whole[:, t].shape:
            raise ValueError(
                f"`{name}.step` must return outputs of shape {tuple(whole[:, t].shape)} here, got "
                f"{tuple(out.shape)}."
            )
        seen = _difference(out, whole[:, t])
        if seen > _TOLERANCE:
            raise ValueError(
                f"`{name}.step` must give the outputs of whole sequences, got others by {seen:.2g} "
                f"at step {t} (from 0): the memory lacks what the sequence shows, or has more."
            )
        seen = _difference(built.step(tokens[:, t], before)[0], out)
        if seen > _TOLERANCE:
            raise ValueError(
                f"`{name}.step` must leave the memory it is given as it was, got outputs that "
                f"differ by {seen:.2g} from the same memory and token. Return another memory."
            )
        static, *_ = built.static_step(tokens[:, t], before, before.tensors())
        seen = _difference(static, out)
        if seen > _TOLERANCE:
            raise ValueError(
                f"`{name}.static_step` must do what `step` does, got outputs that differ by "
                f"{seen:.2g} at step {t} (from 0)."
            )


def _check_resets(name: str, built: Any, tokens: th.Tensor) -> None:
    """A row that is reset begins anew, and the others go on."""
    half = tokens.shape[1] // 2
    memory = built.new_memory(_ROWS)
    for t in range(half):
        _, memory = built.step(tokens[:, t], memory)
    rows: npt.NDArray[np.bool_] = np.arange(_ROWS) == 1
    out, _ = built.step(tokens[:, half], memory.reset_rows(rows))
    anew, whole = built(tokens[:, half:])[:, 0], built(tokens)[:, half]
    for row in range(_ROWS):
        expected, what = (anew, "begin anew") if rows[row] else (whole, "go on as it was")
        seen = _difference(out[row], expected[row])
        if seen > _TOLERANCE:
            raise ValueError(
                f"`reset_rows` of {name}'s memory must empty the given rows alone, got a row that "
                f"does not {what}: its output differs by {seen:.2g}."
            )


def _check_stale(name: str, built: Any, tokens: th.Tensor) -> None:
    """Memories of earlier weights are refused, by networks that have any."""
    _, memory = built.step(tokens[:, 0], built.new_memory(_ROWS))
    if not memory.tensors():
        return
    built.invalidate_memories()
    try:
        built.step(tokens[:, 1], memory)
    except ValueError:
        return
    raise ValueError(
        f"`{name}.step` must raise ValueError for a memory from before `invalidate_memories`, got "
        "outputs that mix old and new weights. See `rl3_sb3.networks.remembering`."
    )


def _check_sizes(network: Any, built: Any, arguments: Mapping[str, Any]) -> None:
    """What policy files know without the network: arguments, shapes of weights, bytes."""
    name = network.__name__
    defaults = {n: p.default for n, p in inspect.signature(network).parameters.items()}
    known = {n: arguments.get(n, defaults.get(n)) for n in (*network.SIZES, *network.CHOICES)}
    network.check_sizes(**known)
    shapes = {key: tuple(value.shape) for key, value in built.state_dict().items()}
    told = {**network.weight_shapes(_INPUT_DIM, _OUTPUT_DIM, **known)}
    if told != shapes:
        wrong = sorted(key for key in {*told, *shapes} if told.get(key) != shapes.get(key))
        raise ValueError(
            f"`{name}.weight_shapes` must return the names and shapes of `state_dict`, got another "
            f"answer for {', '.join(wrong)}."
        )
    n_bytes = network.memory_bytes(**known)
    if not isinstance(n_bytes, int) or n_bytes < 0:
        raise ValueError(f"`{name}.memory_bytes` must return a number of bytes, got {n_bytes!r}.")


def _difference(found: th.Tensor, expected: th.Tensor) -> float:
    """Return the largest difference of two tensors; infinity if one is not finite."""
    largest = (found - expected).abs().max().item()
    return largest if np.isfinite(largest) else np.inf
