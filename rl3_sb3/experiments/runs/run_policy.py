"""Load the policy of a run for evaluation and films, without executing its pickles.

A run's folder stores its policy twice. `policy/` is the exchange format: numbers and plain JSON,
which are safe to load from anyone. The checkpoints, from which training resumes, are in
Stable-Baselines3's format and contain pickles, which can run any code when they are loaded. They
are therefore loaded only on request: by `rl3 train` with the folder as `--out`, and elsewhere with
`--trust-pickle`. The policy of the best checkpoint is in `policy-best/`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.policy_files.folder import load_policy
from rl3_sb3.policy_files.strict_json import PolicyFileError
from rl3_sb3.sequence_policy import SequencePolicy


def load_run_policy(
    directory: RunDirectory,
    config: RunConfig,
    device: str,
    *,
    trust_pickle: bool = False,
    best: bool = False,
) -> tuple[SequencePolicy, int]:
    """Return a run's policy, and the number of steps that the run has trained it for.

    Args:
        directory: The run's folder.
        config: Its configuration; the policy must fit its environments.
        device: See `load_policy`.
        trust_pickle: Load the checkpoint instead of the exported policy. It can run any code.
        best: Use the checkpoint with the best validation return instead of the last one.

    Raises:
        InputError: There is no policy, it cannot be read, or it was made for other environments.
    """
    if trust_pickle:
        env = make_training_env(replace(config, n_envs=2))
        try:
            model = directory.load_checkpoint(env, device, best=best)
        finally:
            env.close()
        return model.policy, model.num_timesteps
    folder = directory.best_policy_folder if best else directory.policy_folder
    try:
        policy = load_policy(folder, device)
    except PolicyFileError as error:
        if folder.exists():
            raise InputError(str(error)) from error
        raise (directory.no_best() if best else directory.no_policy()) from error
    _check_fit(policy, config, directory, folder)
    assert policy.training_record is not None, "set by load_policy"
    return policy, policy.training_record.n_steps - directory.config_file.n_steps_before()


def _check_fit(
    policy: SequencePolicy, config: RunConfig, directory: RunDirectory, folder: Path
) -> None:
    envs = make_envs(config, 1)
    envs.close()
    for what, got, needed in (
        ("observations", policy.actor_space, envs.single_observation_space),
        ("actions", policy.action_space, envs.single_action_space),
    ):
        if got != needed:
            raise InputError(
                f"`{folder}` must hold a policy for the {what} of the run in "
                f"{directory.config_file.path.name}, {needed}, got one for {got}. Restore both "
                "from a copy."
            )
    context_length = policy.context_length
    if context_length is not None and context_length < config.horizon:
        raise InputError(
            f"`{folder}` must hold a policy that remembers the {config.horizon} "
            f"steps in {directory.config_file.path.name}, got one for {context_length}. Restore "
            "both from a copy."
        )
