"""The policy without memory: the same PPO with a dense network on the current observation.

It answers how much of a result is memory: with value estimates and counts in the observation, a
policy that forgets all else can still do well ("RL3 (Markov)" in arXiv 2306.15909).
"""

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule

from rl3_sb3.networks.memoryless import DenseNetwork
from rl3_sb3.policy import TransformerPolicy


class MarkovPolicy(TransformerPolicy):
    """Actor and critic as two dense networks without memory.

    Args:
        observation_space: See `TransformerPolicy`.
        action_space: See `TransformerPolicy`.
        lr_schedule: See `TransformerPolicy`.
        use_sde: See `TransformerPolicy`.
        context_length: Filled in by `TransformerPPO`; a policy without memory has no use for it.
        hidden: Width of both hidden layers.
        critic_weight_decay: See `TransformerPolicy`.
        adam_eps: See `TransformerPolicy`.
        log_std_init: See `TransformerPolicy`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        context_length: int,
        hidden: int = 64,
        critic_weight_decay: float = 1e-2,
        adam_eps: float = 1e-7,
        log_std_init: float = 0.0,
    ) -> None:
        self._hidden = hidden
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            use_sde,
            context_length=context_length,
            critic_weight_decay=critic_weight_decay,
            adam_eps=adam_eps,
            log_std_init=log_std_init,
        )
        self._network_kwargs = {"context_length": context_length, "hidden": hidden}

    def _make_network(self, input_dim: int, output_dim: int) -> DenseNetwork:
        return DenseNetwork(input_dim, output_dim, self._hidden)
