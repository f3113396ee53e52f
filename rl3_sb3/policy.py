"""The named policies, each a `SequencePolicy` with one kind of network.

`POLICIES` is the only list of them: `TransformerPPO` looks names up there, and only these policies
can be exported and loaded. A network of this package needs a class here; `register_policy` adds one
of one's own.
"""

from typing import Any, ClassVar

from rl3_sb3.networks.lstm import Lstm
from rl3_sb3.networks.memoryless import MemorylessNetwork
from rl3_sb3.networks.network import Network
from rl3_sb3.networks.transformer import CausalTransformer
from rl3_sb3.sequence_policy import SequencePolicy


class TransformerPolicy(SequencePolicy):
    """A policy that remembers its episode through attention, see `CausalTransformer`.

    Other arguments are those of `SequencePolicy`.

    Args:
        context_length: Largest number of steps that the policy can remember, at least 1.
            `TransformerPPO` sets it.
        d_model: Width of both networks; a multiple of `n_heads`.
        n_layers: Decoder layers of each network.
        n_heads: Attention heads per layer.
        d_ff: Hidden width of the feed-forward parts.
        input_hidden: Hidden width of the MLP that embeds an observation.
        positions: How the order of steps is encoded. "rotary": by the distance between two steps.
            "learned": by a vector for each step of the episode, as in the paper.
        mixed_precision: Compute matrix products in bfloat16, see `CausalTransformer`. This is
            faster on GPUs and slower on most CPUs. Exported policies do not use it.
        cpu_kernels: False uses only torch, see `CausalTransformer`.
    """

    network: ClassVar[type[Network[Any]]] = CausalTransformer


class LstmPolicy(SequencePolicy):
    """A policy that remembers its episode in an LSTM, see `Lstm`. Episodes may have any length.

    Other arguments are those of `SequencePolicy`.

    Args:
        hidden: Length of the LSTM's hidden state.
        n_layers: LSTM layers of each network.
        input_hidden: Width of the layer that embeds an observation.
    """

    network: ClassVar[type[Network[Any]]] = Lstm


class MarkovPolicy(SequencePolicy):
    """A policy without memory, see `MemorylessNetwork`.

    Other arguments are those of `SequencePolicy`.

    Args:
        context_length: Set by `TransformerPPO`; it has no effect.
        hidden: Width of both hidden layers.
    """

    network: ClassVar[type[Network[Any]]] = MemorylessNetwork


POLICIES: dict[str, type[SequencePolicy]] = {
    policy.__name__: policy for policy in (TransformerPolicy, LstmPolicy, MarkovPolicy)
}


def register_policy(name: str, policy: type[SequencePolicy]) -> None:
    """Give a policy with a network of one's own a name, under which it can be exported.

    `TransformerPPO` takes the name for the class. An exported policy holds the name, never code, so
    whoever loads it must have registered the class. `rl3` does so for `--policy MODULE:NAME`.

    Args:
        name: The new name.
        policy: A subclass of `SequencePolicy` with its `network`; try that with `check_network`.

    Raises:
        TypeError: `policy` is no such class.
        ValueError: The name is empty or belongs to another policy.

    Example:
        >>> from rl3_sb3.networks.lstm import Lstm
        >>> class Deep(SequencePolicy):
        ...     network = Lstm
        >>> register_policy("Deep", Deep)
        >>> POLICIES.pop("Deep").__name__
        'Deep'
    """
    if not (isinstance(policy, type) and issubclass(policy, SequencePolicy)):
        raise TypeError(f"`policy` must be a subclass of SequencePolicy, got {policy!r}.")
    if not isinstance(getattr(policy, "network", None), type):
        raise TypeError(
            f"`policy` must name the class of its network, got {policy.__name__} without. Set its "
            "class attribute `network`."
        )
    if not name or POLICIES.get(name, policy) is not policy:
        raise ValueError(f"`name` must be a new name, got {name!r}. Choose another one.")
    POLICIES[name] = policy
