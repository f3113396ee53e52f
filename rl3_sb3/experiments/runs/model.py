"""Make the untrained model of a run from its settings."""

from __future__ import annotations

from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.ppo import TransformerPPO
from rl3_sb3.update.symmetry import Symmetry
from vamdp.wrappers.task_part import TASK


def make_model(config: RunConfig, env: VecEnv, device: str) -> TransformerPPO:
    """Return an untrained model with the run's settings."""
    critic_only = TASK if config.critic_sees == "task" else ""
    symmetry = None
    if config.symmetry_share > 0:
        symmetry = symmetry_of(config, env)
    return TransformerPPO(
        config.policy,
        env,
        learning_rate=config.learning_rate,
        n_steps=config.horizon,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        normalize_advantage=config.normalize_advantage,
        normalize_returns=config.normalize_returns,
        ent_coef=config.ent_coef,
        max_grad_norm=config.max_grad_norm,
        target_kl=config.target_kl,
        vf_coef=config.vf_coef,
        symmetry=symmetry,
        # So that the mean return in a row of the metrics is that of the whole rollout.
        stats_window_size=config.n_envs,
        seed=config.environment_seed,
        critic_first=config.critic_first,
        device=device,
        policy_kwargs={**config.policy_arguments, "critic_only": critic_only},
    )


def symmetry_of(config: RunConfig, env: VecEnv) -> Symmetry:
    """Return the symmetry under which a run relabels its sequences.

    Raises:
        InputError: The observations of its environments do not tell what belongs to which action.
    """
    transformations = config.facts.transformations_of(config.size)
    try:
        return Symmetry.of(
            env,
            share=config.symmetry_share,
            coef=config.symmetry_coef,
            transformations=transformations,
        )
    except ValueError as error:
        raise InputError(
            f"`symmetry_share` must be 0 in the domain {config.domain}, got "
            f"{config.symmetry_share}: {error} With rl3: --set symmetry_share=0, or add "
            "`action_parts` to the learner's class."
        ) from error
