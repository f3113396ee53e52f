"""The content of `policy.json`: enough to build an exported policy, and nothing executable.

The policy's class is a name in `rl3_sb3.policy.POLICIES`, never an import path. The names, shapes
and bytes of the weights follow from the description, before any weight is read or allocated.

A policy is written in the earliest version of the format that can describe it:

1. The first version.
2. Adds the argument `critic_only`, for policies with such a part of the observation.
3. Adds the networks' choices, for policies with a choice other than the oldest; `critic_only` is
   present only if needed.
4. Adds to "weights" which networks are stored and how a number is stored, for anything but both
   networks in float32.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gymnasium import spaces

from rl3_sb3.distribution import check_action_space, n_outputs
from rl3_sb3.networks.shapes import BYTES_PER_NUMBER, Shapes
from rl3_sb3.policy import POLICIES
from rl3_sb3.policy_files.record import TrainingRecord
from rl3_sb3.policy_files.spaces import MOST_NUMBERS, n_numbers, space_from_json, space_to_json
from rl3_sb3.policy_files.strict_json import Node, parse_object, refuse
from rl3_sb3.sequence_policy import SequencePolicy
from rl3_sb3.tokens import Tokens

FORMAT = "rl3_sb3 policy"
FORMAT_VERSION = 4
_FIELDS = (
    "format",
    "format_version",
    "policy",
    "arguments",
    "observation_space",
    "action_space",
    "weights",
    "training",
)
_MOST_LAYERS = 256
_MOST_WIDTH = 2**20
_LARGEST_LOG_STD = 1e30  # well within float32; with a larger one the policy cannot be built
# Arguments of every policy besides its networks' sizes.
_NUMBERS = ("critic_weight_decay", "adam_eps", "log_std_init")
# Always present in version 2; present in later versions only if it is not empty.
_CRITIC_ONLY = "critic_only"
# The first version with the networks' choices; earlier files imply the oldest choices.
_WITH_CHOICES = 3
# The first version with the storage of the weights; earlier files store both networks in float32.
_WITH_STORAGE = 4
_NETWORKS = ("actor and critic", "actor")
# The stored types of weights, and the bytes of a number. In memory all are float32.
STORED_BYTES = {"float32": 4, "float16": 2}


@dataclass(frozen=True)
class PolicyDescription:
    """The description of a policy without its weights.

    Attributes:
        policy: The class's name in `POLICIES`.
        arguments: The constructor's arguments, without spaces and learning rate.
        observation_space: The policy's observation space.
        action_space: The policy's action space.
        n_bytes: Length of the file of weights, in bytes.
        sha256: Checksum of that file, in hexadecimal; it ties both files to one export.
        record: How the policy was trained.
        actor_only: Whether the export has no critic.
        dtype: Stored type of the weights, a name in `STORED_BYTES`.
    """

    policy: str
    arguments: Mapping[str, int | float | str]
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    n_bytes: int
    sha256: str
    record: TrainingRecord
    actor_only: bool = False
    dtype: str = "float32"

    @classmethod
    def of(
        cls,
        policy: SequencePolicy,
        weights: bytes,
        record: TrainingRecord,
        *,
        actor_only: bool = False,
        dtype: str = "float32",
    ) -> PolicyDescription:
        """Describe a policy.

        Raises:
            ValueError: Its class is not in `POLICIES`.
        """
        name = class_name(policy)
        given = policy._get_constructor_parameters()
        arguments: dict[str, int | float | str] = {n: int(given[n]) for n in policy.network.SIZES}
        arguments |= {n: str(given[n]) for n in policy.network.CHOICES}
        arguments |= {n: float(given[n]) for n in _NUMBERS}
        if policy.critic_only:
            arguments[_CRITIC_ONLY] = policy.critic_only
        return cls(
            name,
            arguments,
            policy.observation_space,
            policy.action_space,
            len(weights),
            hashlib.sha256(weights).hexdigest(),
            record,
            actor_only,
            dtype,
        )

    def to_json(self) -> bytes:
        """Return the content of the file.

        Raises:
            ValueError: A space cannot be written as JSON, or the record holds a value that is
                neither a number nor a text.
        """
        version, arguments = self._as_early_as_possible()
        weights: dict[str, int | str] = {"bytes": self.n_bytes, "sha256": self.sha256}
        if version >= _WITH_STORAGE:
            weights |= {"networks": _NETWORKS[self.actor_only], "dtype": self.dtype}
        values = {
            "format": FORMAT,
            "format_version": version,
            "policy": self.policy,
            "arguments": arguments,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "weights": weights,
            "training": self.record.to_json(),
        }
        return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode("ascii")

    def _as_early_as_possible(self) -> tuple[int, dict[str, int | float | str]]:
        """Return the earliest version that can describe the policy, and its arguments there."""
        arguments, oldest = dict(self.arguments), POLICIES[self.policy].oldest_choices()
        if self.actor_only or self.dtype != "float32":
            return _WITH_STORAGE, arguments
        if any(arguments[name] != text for name, text in oldest.items()):
            return _WITH_CHOICES, arguments
        for name in oldest:
            del arguments[name]
        return (2 if _CRITIC_ONLY in arguments else 1), arguments

    @classmethod
    def from_json(cls, content: bytes, file: Path) -> PolicyDescription:
        """Parse and check what `to_json` wrote.

        Args:
            content: The whole file.
            file: Its path, for errors.

        Raises:
            PolicyFileError: It is anything else, or describes a policy that cannot be built.
        """
        node = parse_object(content, file)
        version = _check_format(node)
        fields = node.fields(_FIELDS)
        name = fields["policy"].choice(
            [*POLICIES], "If the policy is your own, call `rl3_sb3.register_policy` first."
        )
        storage = ("networks", "dtype") if version >= _WITH_STORAGE else ()
        weights = fields["weights"].fields(("bytes", "sha256", *storage))
        described = cls(
            name,
            _read_arguments(fields["arguments"], POLICIES[name], version),
            space_from_json(fields["observation_space"]),
            space_from_json(fields["action_space"]),
            weights["bytes"].integer(0, 2**63 - 1),
            weights["sha256"].text(),
            TrainingRecord.from_json(fields["training"]),
            "networks" in weights and weights["networks"].choice(_NETWORKS) == "actor",
            weights["dtype"].choice([*STORED_BYTES]) if "dtype" in weights else "float32",
        )
        if n_numbers(described.action_space) > MOST_NUMBERS:
            raise fields["action_space"].error(f"a space of at most {MOST_NUMBERS} numbers")
        try:
            described.check()
        except ValueError as error:
            raise refuse(
                file, "describe a policy that can be built", f"another ({error})"
            ) from None
        return described

    def check(self) -> None:
        """Raise ValueError if the policy's constructor would, without the cost of calling it."""
        check_action_space(self.action_space)
        POLICIES[self.policy].network.check_sizes(**self._of_network)
        if min(map(min, self.weight_shapes.values())) < 1:
            raise ValueError("`observation_space` and `action_space` must not be empty.")

    @cached_property
    def weight_shapes(self) -> Shapes:
        """The shape of each tensor in the file, by name, computed without allocating them."""
        shapes_of = POLICIES[self.policy].network.weight_shapes
        n_actions = n_outputs(self.action_space)
        networks = (
            ("actor", self._tokens.actor_size, n_actions),
            ("critic", self._tokens.size, 1),
        )[: 1 if self.actor_only else 2]
        shapes = {
            f"{network}.{name}": shape
            for network, *dims in networks
            for name, shape in shapes_of(*dims, **self._of_network).items()
        }
        if isinstance(self.action_space, spaces.Box):
            shapes["log_std"] = (n_actions,)
        return shapes

    @property
    def n_weights(self) -> int:
        """The number of weights in all tensors."""
        return sum(map(math.prod, self.weight_shapes.values()))

    def n_weight_bytes(self) -> int:
        """Return the bytes of the policy's tensors in memory."""
        return BYTES_PER_NUMBER * self.n_weights

    def n_stored_bytes(self) -> int:
        """Return the bytes of the tensors in the file, without their names and shapes."""
        return STORED_BYTES[self.dtype] * self.n_weights

    def n_memory_bytes(self) -> int:
        """Return the bytes of the policy's memory of one episode."""
        return POLICIES[self.policy].network.memory_bytes(**self._of_network)

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self.observation_space, str(self.arguments.get(_CRITIC_ONLY, "")))

    @property
    def _of_network(self) -> dict[str, Any]:
        network = POLICIES[self.policy].network
        return {name: self.arguments[name] for name in (*network.SIZES, *network.CHOICES)}

    def build(self) -> SequencePolicy:
        """Return a policy with random weights, on the CPU."""
        arguments: dict[str, Any] = dict(self.arguments)
        return POLICIES[self.policy](
            self.observation_space,
            self.action_space,
            lambda _: 0.0,
            actor_only=self.actor_only,
            **arguments,
        )


def class_name(policy: SequencePolicy) -> str:
    """Return the name of a policy's class in `POLICIES`.

    Raises:
        ValueError: The class is not there.
    """
    for name, known in POLICIES.items():
        if type(policy) is known:
            return name
    raise ValueError(
        f"`policy` must be exactly one of {', '.join(POLICIES)} to be exported, got another class, "
        f"{type(policy).__name__}, whose code an export cannot contain. Name it with "
        "`rl3_sb3.register_policy`, or use `TransformerPPO.save`."
    )


def _check_format(node: Node) -> int:
    """Return the version; other files and later versions raise an error of their own."""
    top = node.items()
    if "format" not in top or top["format"].value != FORMAT:
        raise refuse(
            node.file,
            "describe a policy exported by rl3_sb3",
            "other JSON",
            "Pass a folder that `TransformerPPO.export` wrote.",
        )
    if "format_version" not in top:
        raise node.error("the field format_version")
    version = top["format_version"].integer(1, 2**31)
    if version > FORMAT_VERSION:
        raise refuse(
            node.file,
            f"have format version {FORMAT_VERSION} or an earlier one",
            str(version),
            "Upgrade this package: the file was written by a later version.",
        )
    return version


def _read_arguments(
    node: Node, policy: type[SequencePolicy], version: int
) -> dict[str, int | float | str]:
    sizes = policy.network.SIZES
    choices = policy.network.CHOICES if version >= _WITH_CHOICES else {}
    has_text = version == 2 or (version > 2 and _CRITIC_ONLY in node.items())
    texts = (_CRITIC_ONLY,) if has_text else ()
    fields = node.fields((*sizes, *choices, *_NUMBERS, *texts))
    arguments: dict[str, int | float | str] = {**policy.oldest_choices()}
    for name, known in choices.items():
        arguments[name] = fields[name].choice(known)
    for name in sizes:
        most = _MOST_LAYERS if name == "n_layers" else _MOST_WIDTH
        arguments[name] = fields[name].integer(1, most)
    numbers = {name: fields[name].number() for name in _NUMBERS}
    if abs(numbers["log_std_init"]) > _LARGEST_LOG_STD:
        raise fields["log_std_init"].error(f"a number within {_LARGEST_LOG_STD:g}")
    if numbers["critic_weight_decay"] < 0:
        raise fields["critic_weight_decay"].error("a number of at least 0")
    if numbers["adam_eps"] <= 0:
        raise fields["adam_eps"].error("a number above 0")
    arguments |= numbers
    for name in texts:
        arguments[name] = fields[name].text()
    return arguments
