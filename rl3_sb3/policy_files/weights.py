"""Read and write the tensors of an exported policy as safetensors, in float32 or float16.

Float16 affects storage only: the policy computes in float32 with the rounded numbers. These have 11
significant bits; small ones are multiples of 2^-24.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch as th

from rl3_sb3.policy_files.description import PolicyDescription
from rl3_sb3.policy_files.strict_json import Node, parse_object, refuse, show
from rl3_sb3.sequence_policy import SequencePolicy

# The format's names of types, and NumPy's; "<" is the format's byte order on every machine.
_TYPES = {"float32": ("F32", "<f4"), "float16": ("F16", "<f2")}


def write_tensors(policy: SequencePolicy, *, actor_only: bool, dtype: str) -> bytes:
    """Return the content of a file of weights.

    Args:
        policy: The policy.
        actor_only: Whether to leave the critic's weights out.
        dtype: Stored type, "float32" or "float16".

    Raises:
        ValueError: A weight is not finite, not float32, or too large for the stored type.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in policy.state_dict().items()
        if not (actor_only and name.startswith("critic."))
    }
    for name, tensor in tensors.items():
        if tensor.dtype != th.float32 or not bool(tensor.isfinite().all()):
            raise ValueError(
                f"`policy` must have finite float32 weights to be exported, got {name} of "
                f"{tensor.dtype} with {int((~tensor.isfinite()).sum())} non-finite numbers. If "
                "training has diverged, export an earlier checkpoint."
            )
        if dtype == "float16":
            tensors[name] = tensor.half()
            if not bool(tensors[name].isfinite().all()):
                raise ValueError(
                    '`weights` must be "float32" for a policy with weights beyond 65504, got '
                    f'"float16" and {tensor.abs().max():g} in {name}. Leave `weights` out.'
                )
    return safetensors.torch.save(tensors)


def read_tensors(weights: bytes, described: PolicyDescription, file: Path) -> dict[str, th.Tensor]:
    """Return the tensors of a file of weights, which must match the description exactly.

    Raises:
        PolicyFileError: The file is damaged, or its tensors are not those described or not finite.
    """
    try:
        found = dict(safetensors.deserialize(weights))  # type: ignore[no-untyped-call] # its own
    except safetensors.SafetensorError as error:
        raise refuse(file, "be in the safetensors format", f"something else ({error})") from error
    shapes = described.weight_shapes
    _check_header(weights, described, file)
    stored, little_endian = _TYPES[described.dtype]
    tensors = {}
    for name, shape in shapes.items():
        entry = found[name]
        if entry["dtype"] != stored or tuple(entry["shape"]) != shape:
            raise refuse(
                file,
                f"hold {name} as {stored} of shape {list(shape)}",
                f"{entry['dtype']} of shape {show(entry['shape'])}",
            )
        array = np.frombuffer(entry["data"], little_endian).reshape(shape).astype(np.float32)
        tensors[name] = th.from_numpy(array)
        if not np.isfinite(array).all():
            raise refuse(
                file,
                f"hold finite numbers in {name}",
                "NaN or infinity: the training diverged, or the file is damaged",
                "Get an earlier version of the policy.",
            )
    return tensors


def _check_header(weights: bytes, described: PolicyDescription, file: Path) -> None:
    """Reject what the format allows: duplicate tensors, unknown fields, metadata."""
    header = parse_object(weights[8 : 8 + int.from_bytes(weights[:8], "little")], file)
    names = described.weight_shapes.keys()
    alone = "'s actor" if described.actor_only else ""
    if header.value.keys() != names:
        raise refuse(
            file,
            f"hold the {len(names)} tensors of a {described.policy}{alone}",
            f"{len(header.value)} (see {show(sorted(header.value.keys() ^ names))})",
        )
    for name in names:
        Node(header.value[name], file, name).fields(("dtype", "shape", "data_offsets"))
