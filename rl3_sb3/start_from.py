"""Begin training with the networks of another policy, such as a published one.

Exported policies often have no critic, and one that starts anew is wrong at first. So
`TransformerPPO(critic_first=N)` can train the critic alone in the first N iterations.
"""

from __future__ import annotations

from typing import Any

from rl3_sb3.sequence_policy import SequencePolicy


def take_networks(policy: SequencePolicy, source: Any, *, critic: bool = True) -> bool:
    """Replace a policy's weights by those of another one, and clear its optimizer's moments.

    Args:
        policy: The policy to change.
        source: The policy to copy: of the same class, with networks of the same sizes, for the same
            actions and as many observed numbers.
        critic: Copy the critic too, if `source` has one that reads the same observations.

    Returns:
        Whether the critic was copied.

    Raises:
        ValueError: `source` does not fit; nothing is changed then.
    """
    _require_fit(policy, source)
    with_critic = (
        critic
        and source.critic is not None
        and policy.critic is not None
        and source.critic_only == policy.critic_only
        and _misfit(policy.critic, source.critic) is None
    )
    networks = ["actor", "critic"] if with_critic else ["actor"]
    for name in networks:
        getattr(policy, name).load_state_dict(getattr(source, name).state_dict())
    if hasattr(policy, "log_std"):
        policy.log_std.data.copy_(source.log_std.data)
    policy.actor.invalidate_memories()
    policy.optimizer.state.clear()
    return with_critic


def _require_fit(policy: SequencePolicy, source: Any) -> None:
    remedy = "Create the model with that policy's class and policy_kwargs, on the same spaces."
    if type(source) is not type(policy):
        raise ValueError(
            f"`policy` must be a {type(policy).__name__} like the model's, or the folder of one, "
            f"got {type(source).__name__}. {remedy}"
        )
    if source.action_space != policy.action_space:
        raise ValueError(
            f"`policy` must choose from the model's actions, {policy.action_space}, got "
            f"{source.action_space}. {remedy}"
        )
    own, other = (p._get_constructor_parameters() for p in (policy, source))
    # Custom networks may have none.
    sizes, choices = (getattr(policy.network, name, ()) for name in ("SIZES", "CHOICES"))
    for name in (*sizes, *choices):
        if own[name] != other[name]:
            raise ValueError(
                f"`policy` must have `{name}` {own[name]} like the model's, got {other[name]}. "
                f"{remedy}"
            )
    misfit = _misfit(policy.actor, source.actor)
    if misfit is not None:
        raise ValueError(
            "`policy` must read as many numbers as the model's observations have, got an actor "
            f"with {misfit}. {remedy}"
        )


def _misfit(network: Any, other: Any) -> str | None:
    """Return the first weights with another shape in words; None if all weights fit."""
    shapes, others = (
        {name: tuple(weights.shape) for name, weights in module.state_dict().items()}
        for module in (network, other)
    )
    for name in shapes | others:
        if shapes.get(name) != others.get(name):
            return f"{name} of shape {others.get(name)} instead of {shapes.get(name)}"
    return None
