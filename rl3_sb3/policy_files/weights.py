"""The tensors of an exported policy, as safetensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors
import torch as th

from rl3_sb3.policy_files.description import PolicyDescription
from rl3_sb3.policy_files.strict_json import Node, parse_object, refuse, show


def read_tensors(weights: bytes, described: PolicyDescription, file: Path) -> dict[str, th.Tensor]:
    """Return the tensors of a file of weights, which must be exactly the policy's."""
    try:
        found = dict(safetensors.deserialize(weights))  # type: ignore[no-untyped-call] # its own
    except safetensors.SafetensorError as error:
        raise refuse(file, "be in the safetensors format", f"something else ({error})") from error
    shapes = described.weight_shapes
    _check_header(weights, described, file)
    tensors = {}
    for name, shape in shapes.items():
        entry = found[name]
        if entry["dtype"] != "F32" or tuple(entry["shape"]) != shape:
            raise refuse(
                file,
                f"hold {name} as F32 of shape {list(shape)}",
                f"{entry['dtype']} of shape {show(entry['shape'])}",
            )
        # "<f4": the format's byte order, whatever the machine's
        array = np.frombuffer(entry["data"], dtype="<f4").reshape(shape).astype(np.float32)
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
    """Refuse what the format lets pass: tensors given twice, unknown fields, notes."""
    header = parse_object(weights[8 : 8 + int.from_bytes(weights[:8], "little")], file)
    names = described.weight_shapes.keys()
    if header.value.keys() != names:
        raise refuse(
            file,
            f"hold the {len(names)} tensors of a {described.policy}",
            f"{len(header.value)} (see {show(sorted(header.value.keys() ^ names))})",
        )
    for name in names:
        Node(header.value[name], file, name).fields(("dtype", "shape", "data_offsets"))
