"""The policies of a run: built-in ones, and custom ones by MODULE:NAME."""

from __future__ import annotations

import difflib

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.named import attribute_of
from rl3_sb3.policy import POLICIES, register_policy
from rl3_sb3.sequence_policy import SequencePolicy


def policy_of(name: str) -> type[SequencePolicy]:
    """Return the policy of this name, or the one that `module:attribute` names.

    The latter is registered under the whole name, so that it can be exported and loaded.

    Raises:
        InputError: There is no such policy.
    """
    if name in POLICIES:
        return POLICIES[name]
    if not isinstance(name, str) or ":" not in name:
        folded = {known.lower(): known for known in POLICIES}
        typed = str(name).lower()
        near = difflib.get_close_matches(typed, folded, n=1)
        near += [known for known in folded if typed and typed in known]
        raise InputError(
            f"`policy` must be one of {', '.join(POLICIES)}, or MODULE:NAME of your own, got "
            f"{name!r}." + (f" Did you mean {folded[near[0]]}?" if near else "")
        )
    found = attribute_of("policy", name)
    try:
        register_policy(name, found)
    except TypeError as error:
        raise InputError(
            "`policy` must name a subclass of rl3_sb3.SequencePolicy with the class of its "
            f"`network`, got {name!r}, which is {found!r}."
        ) from error
    return found  # type: ignore[no-any-return] # checked by register_policy
