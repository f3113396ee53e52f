"""The policies that can be named, each a `SequencePolicy` of one kind of network.

`POLICIES` is the only list of them: of what `TransformerPPO` knows by name, of what can be
exported, and of what the package offers. A further network gets a class here.
"""

from typing import Any, ClassVar

from rl3_sb3.networks.lstm import Lstm
from rl3_sb3.networks.memoryless import MemorylessNetwork
from rl3_sb3.networks.network import Network
from rl3_sb3.networks.transformer import CausalTransformer
from rl3_sb3.sequence_policy import SequencePolicy


class TransformerPolicy(SequencePolicy):
    """Remembers its episode through attention, see `CausalTransformer`.

    Arguments not listed are those of `SequencePolicy`.

    Args:
        context_length: The most steps the policy can remember. `TransformerPPO` fills it in.
        d_model: Width of both networks; a multiple of `n_heads`.
        n_layers: Decoder layers of each network.
        n_heads: Attention heads per layer.
        d_ff: Hidden width of the feed-forward parts.
        input_hidden: Hidden width of the MLP that embeds an observation.
        positions: How it knows which step came when: "rotary" by how far apart two steps are,
            "learned" by a vector for each step of the episode, as in the paper.
        mixed_precision: Matrix products in bfloat16, see `CausalTransformer`: faster on GPUs,
            slower on most CPUs. An exported policy acts without.
        cpu_kernels: False leaves all to torch, see `CausalTransformer`.
    """

    network: ClassVar[type[Network[Any]]] = CausalTransformer


class LstmPolicy(SequencePolicy):
    """Remembers its episode in an LSTM, see `Lstm`; episodes may have any length.

    Arguments not listed are those of `SequencePolicy`.

    Args:
        hidden: Length of the vector in which an episode is remembered.
        n_layers: LSTM layers of each network.
        input_hidden: Width of the layer that embeds an observation.
    """

    network: ClassVar[type[Network[Any]]] = Lstm


class MarkovPolicy(SequencePolicy):
    """Remembers nothing, see `MemorylessNetwork`.

    Arguments not listed are those of `SequencePolicy`.

    Args:
        context_length: Filled in by `TransformerPPO`; it changes nothing.
        hidden: Width of both hidden layers.
    """

    network: ClassVar[type[Network[Any]]] = MemorylessNetwork


POLICIES: dict[str, type[SequencePolicy]] = {
    policy.__name__: policy for policy in (TransformerPolicy, LstmPolicy, MarkovPolicy)
}
