"""One rollout: the policy acts, the environments answer, the buffer keeps both.

What SB3 wants to be done after every step (callbacks, counters, statistics) is handed in; here is
what the buffer needs. Known traps: an environment may reuse the memory of its observations, so they
are stored before it steps; and an episode that is cut off by a time limit, or by the rollout's end,
needs the observation after its last step, whose value it is bootstrapped with.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

from rl3_sb3.action_masks import ActionMasks, Masks
from rl3_sb3.rollout.acting import Acting
from rl3_sb3.rollout.buffer import SequenceRolloutBuffer
from rl3_sb3.sequence_policy import SequencePolicy
from rl3_sb3.to_device import to_device

Infos = list[dict[str, Any]]
Dones = npt.NDArray[np.bool_]


class Step(NamedTuple):
    """One step of B environments, in the words in which SB3 shows it to callbacks.

    Attributes:
        obs_tensor: What the policy saw: a tensor (B, *shape), or a dictionary of them.
        actions: As drawn, on the policy's device: (B,) or (B, n_actions).
        params: The distribution parameters that they were drawn from, (B, n_params).
        clipped_actions: As the environments took them, (B, *shape).
        new_obs: What followed; where an episode ended, the next one's first observation.
        rewards: Shape (B,).
        dones: Where an episode ended in either way, (B,).
        infos: One dictionary for each environment.
        action_masks: Which actions were allowed, (B, n_actions); None: all.
        new_masks: Which are allowed at `new_obs`; likewise.
    """

    obs_tensor: PyTorchObs
    actions: th.Tensor
    params: th.Tensor
    clipped_actions: npt.NDArray[Any]
    new_obs: VecEnvObs
    rewards: npt.NDArray[Any]
    dones: Dones
    infos: Infos
    action_masks: Masks | None
    new_masks: Masks | None


# Called after every step; False stops.
AfterStep = Callable[[Step], bool]


def collect(
    env: VecEnv,
    acting: Acting,
    rollout: SequenceRolloutBuffer,
    masks: ActionMasks,
    present: tuple[VecEnvObs, Masks | None],
    after_step: AfterStep,
) -> bool:
    """Fill an empty buffer.

    Args:
        env: The environments; they go on from where they are.
        acting: Chooses the actions, from an empty memory on.
        rollout: To be filled.
        masks: Reads which actions the environments allow.
        present: The environments' present observation, and what they allow there.
        after_step: See `AfterStep`.

    Returns:
        False if `after_step` stopped it; the buffer is of no use then.
    """
    policy = acting.policy
    observation, action_masks = present
    acting.begin()
    while not rollout.full:
        assert not isinstance(observation, tuple), "SB3 has no tuple observations"
        obs_tensor = obs_as_tensor(observation, policy.device)
        tokens = policy.extract_features(obs_tensor)
        allowed = None if action_masks is None else to_device(action_masks, policy.device)
        actions, params = acting.choose(tokens, allowed)
        rollout.add_choice(tokens=tokens, actions=actions, params=params, action_masks=allowed)
        env_actions = policy.to_env_actions(actions)
        observation, rewards, over, infos = env.step(env_actions)
        dones = np.asarray(over, dtype=bool)
        rollout.add_outcome(rewards, dones)
        new_masks = masks.after_step(dones, infos)
        step = Step(
            obs_tensor, actions, params, env_actions, observation, rewards, dones, infos,
            action_masks, new_masks,
        )  # fmt: skip
        action_masks = new_masks
        if not after_step(step):
            return False
        if dones.any():
            _add_last_observations(rollout, policy, dones, infos)
            acting.forget(dones)
    running = np.flatnonzero(~dones)
    if len(running) > 0:
        rollout.add_tokens_after(running, policy.to_tokens(observation)[running])
    return True


def _add_last_observations(
    rollout: SequenceRolloutBuffer, policy: SequencePolicy, dones: Dones, infos: Infos
) -> None:
    """Store the last observations of the episodes that ended, but did not terminate."""
    rows = np.array(
        [
            i
            for i in np.flatnonzero(dones)
            if infos[i].get("TimeLimit.truncated", False)
            and infos[i].get("terminal_observation") is not None
        ],
        dtype=np.int64,
    )
    if len(rows) == 0:
        return
    last = [infos[i]["terminal_observation"] for i in rows]
    batch = (
        {key: np.stack([obs[key] for obs in last]) for key in last[0]}
        if isinstance(last[0], dict)
        else np.stack(last)
    )
    rollout.add_tokens_after(rows, policy.to_tokens(batch))
