"""Collect one rollout: the policy acts, the environments step, the buffer stores both.

What SB3 needs after every step (callbacks, counters, statistics) is passed in as a function. Two
things are easy to get wrong. An environment may reuse the memory of its observations, so they are
stored before it steps. And an episode that is cut by a time limit, or by the rollout's end, needs
the observation after its last step, whose value it is bootstrapped with.
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
    """One step of B environments, with the names that SB3's callbacks expect.

    Attributes:
        obs_tensor: The policy's observation: a tensor (B, *shape), or a dictionary of tensors.
        actions: As sampled, on the policy's device: (B,) or (B, n_actions).
        params: The distribution parameters that they were sampled from, (B, n_params).
        clipped_actions: As passed to the environments, (B, *shape).
        new_obs: The next observation; where an episode ended, the first of the next episode.
        rewards: Shape (B,).
        dones: True where an episode terminated or was truncated, (B,).
        infos: One dictionary per environment.
        action_masks: True where an action was allowed, (B, n_actions); None: all were.
        new_masks: True where an action is allowed at `new_obs`, (B, n_actions); None: all are.
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


# Called after every step; returns False to stop.
AfterStep = Callable[[Step], bool]


def collect(
    env: VecEnv,
    acting: Acting,
    rollout: SequenceRolloutBuffer,
    masks: ActionMasks,
    present: tuple[VecEnvObs, Masks | None],
    after_step: AfterStep,
) -> bool:
    """Fill an empty buffer with a rollout.

    Args:
        env: The environments, which continue from their current state.
        acting: Chooses the actions; its memory is cleared first.
        rollout: The buffer to fill.
        masks: Reads the environments' action masks.
        present: The environments' current observation and its action masks.
        after_step: See `AfterStep`.

    Returns:
        False if `after_step` stopped it; the buffer is then incomplete.
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
    """Store the last observations of the episodes that were truncated."""
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
