"""Measure the held-out return during training, by which the best checkpoint is chosen.

It is the policy's mean total reward in the first validation tasks, the same in every measurement.
They are drawn like the held-out tasks, with other seeds. Neither training nor `rl3 evaluate` uses
them: the best of many checkpoints, chosen on the tasks of the final evaluation, would look better
there than it is.
"""

from __future__ import annotations

import numpy as np
import torch as th

from rl3_sb3.experiments.evaluation.evaluation import play
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig
from rl3_sb3.sequence_policy import SequencePolicy

# Far beyond the seeds of held-out tasks.
FIRST_VALIDATION_SEED = FIRST_HELD_OUT_SEED + 2**30

N_VALIDATION_TASKS = 100

# SB3's name for the mean total reward in an evaluation.
VALIDATION_RETURN = "eval/mean_reward"


def validation_return(config: RunConfig, policy: SequencePolicy) -> float:
    """Return the policy's mean total reward in the validation tasks of a run.

    The generators of training do not change: environments have their own seeds, and actions are
    sampled from a fixed seed, after which torch's generators are restored.
    """
    device = policy.device
    with th.random.fork_rng([device] if device.type == "cuda" else []):
        th.manual_seed(FIRST_VALIDATION_SEED)
        rewards = play(
            config,
            PolicyAgent(policy),
            n_tasks=N_VALIDATION_TASKS,
            variation=config.variation,
            first_seed=FIRST_VALIDATION_SEED,
        )
    return float(np.mean(rewards.returns))
