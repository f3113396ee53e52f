"""A trained policy as an agent with the protocol of `vamdp.baselines.Agent`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.sequence_policy import SequencePolicy


class PolicyAgent:
    """A trained policy, whose memory is cleared for each batch of tasks.

    Actions are sampled from torch's generator, which `start` seeds.

    Args:
        policy: The policy.
        title: Name in tables.
        greedy: Take the most likely action instead of sampling one.

    Attributes:
        action_masks: True where an action is allowed in the next step, (n_tasks, n_actions); None:
            all are. The caller must set it before each step.
    """

    sees: ClassVar[Literal["observations"]] = "observations"

    def __init__(self, policy: SequencePolicy, title: str = "", *, greedy: bool = False) -> None:
        self.title = title
        self.play = "greedy" if greedy else "sampled"
        self._greedy = greedy
        self._policy = policy
        self._state = policy.new_state(0)
        self.action_masks: npt.NDArray[np.bool_] | None = None

    def start(self, n_tasks: int, seed: int) -> None:
        """Forget the previous tasks."""
        th.manual_seed(seed)
        self._state = self._policy.new_state(n_tasks)

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Choose actions for observations."""
        actions, self._state = self._policy.predict(
            seen, self._state, deterministic=self._greedy, action_masks=self.action_masks
        )
        return actions

    def learn(self, *transition: npt.NDArray[Any]) -> None:
        """Do nothing: the policy remembers through its observations."""
