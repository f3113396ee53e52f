"""What `config.json` says of a run: its settings, its tasks, and what trained it.

    run           the settings, see `RunConfig`
    tasks         fingerprint of the tasks, by which changed ones are recognised
    versions      of the libraries that began the run
    provenance    the commit and the hardware of each process that trained it
    start         the policy that it started from, if any
    prolonged     when it got more iterations

Files of earlier versions lack some of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.environments import fingerprint, is_of_fingerprint
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.files.json_file import read_object, write_object
from rl3_sb3.experiments.provenance import code_commit, hardware
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.policy_files.record import library_versions
from vamdp.argument_checks import is_integer

_PACKAGES = ("vamdp", "torch", "stable-baselines3", "gymnasium", "numpy", "numba")

_RUN = "run"
_VERSIONS = "versions"
_TASKS = "tasks"
_PROVENANCE = "provenance"
_START = "start"
_PROLONGED = "prolonged"


class ConfigFile:
    """Reads and changes `config.json`.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Return whether there is a file."""
        return self.path.is_file()

    @staticmethod
    def first_content(config: RunConfig) -> dict[str, Any]:
        """Return what a new run stores. It plays a task twice, whose code may fail.

        Raises:
            InputError: The task is another one the second time, so that it could not be recognised.
        """
        tasks = fingerprint(config)
        if fingerprint(config) != tasks:
            raise InputError(
                "`domain` must draw the same task from the same random numbers, got "
                f"{config.domain}, which draws another every time. Take all random numbers from "
                "`rng`, and those of an environment from the seed that its `reset` gets."
            )
        return {
            _RUN: config.to_dict(),
            _VERSIONS: library_versions(_PACKAGES),
            _TASKS: tasks,
        }

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace the whole content."""
        write_object(self.path, content)

    def read(self) -> RunConfig:
        """Return the settings.

        Raises:
            InputError: There are none, or they cannot be read.
        """
        if not self.exists():
            raise InputError(
                f"`DIR` must be the folder of a run, got {self.path.parent}, which has no "
                f"{self.path.name}. Pass the --out of an earlier `rl3 train`."
            )
        settings = read_object(self.path).get(_RUN, {})
        if not isinstance(settings, dict):
            raise InputError(
                f"`{self.path}` must have a run's settings under `{_RUN}`, got {settings!r}. "
                "Restore it from a copy."
            )
        return RunConfig.from_dict(settings, source=str(self.path))

    def require_same_tasks(self, config: RunConfig) -> None:
        """Raise InputError if the domain's tasks have changed since the run began."""
        stored = read_object(self.path).get(_TASKS)
        if stored is not None and not is_of_fingerprint(stored, fingerprint(config)):
            raise InputError(
                f"`{self.path}` must be of the tasks that {config.domain} draws, got a run "
                "of other tasks: its code was changed, or another module has this name. Use the "
                "code that the run began with."
            )

    def prolong(self, iterations: int, n_steps: int) -> RunConfig:
        """Store a larger total number of iterations, and return the new settings.

        Args:
            iterations: The new number.
            n_steps: Number of steps trained so far, of all environments together.

        Raises:
            InputError: The number is not larger, or the file is damaged; nothing is changed then.
        """
        config = replace(self.read(), iterations=iterations)
        values = read_object(self.path)
        self.provenance()  # must be readable before anything changes
        change = {"n_steps": n_steps, "iterations": iterations}
        values[_PROLONGED] = [*self._list_in(values, _PROLONGED), change]
        self.write({**values, _RUN: config.to_dict()})
        return config

    def note_provenance(self, device: str) -> None:
        """Store the commit and the hardware that train the run from now on, if not yet stored.

        Args:
            device: Device in torch's form.
        """
        values = read_object(self.path)
        now = {"commit": code_commit(), "hardware": hardware(device)}
        known = self._list_in(values, _PROVENANCE)
        if now not in known:
            self.write({**values, _PROVENANCE: [*known, now]})

    def provenance(self) -> list[dict[str, str]]:
        """Return what `note_provenance` stored; [] for runs of earlier versions."""
        return self._list_in(read_object(self.path), _PROVENANCE)

    def note_start(self, found: Mapping[str, Any]) -> None:
        """Store the policy that the run starts from, see `start`.

        Raises:
            InputError: The run began with another policy, and was killed before its first
                checkpoint.
        """
        values = read_object(self.path)
        if values.get(_START, found) != found:
            path = values[_RUN]["start_from"]
            raise InputError(
                f"`start_from` must be the policy that the run in {self.path.parent} began with, "
                f"got another one in {path}. Restore it, or choose another --out."
            )
        self.write({**values, _START: dict(found)})

    def start(self) -> dict[str, Any] | None:
        """Return what `note_start` stored; None if the run started from nothing.

        Raises:
            InputError: The entry is damaged.
        """
        found = read_object(self.path).get(_START)
        if found is None:
            return None
        if not isinstance(found, dict) or not is_integer(found.get("n_steps")):
            raise InputError(
                f"`{self.path}` must say under `{_START}` what the run started from, got "
                f"{found!r}. Restore it from a copy."
            )
        return found

    def n_steps_before(self) -> int:
        """Return the number of steps of the policy that the run started from; 0 without one."""
        start = self.start()
        return 0 if start is None else int(start["n_steps"])

    def _list_in(self, values: Mapping[str, Any], name: str) -> list[Any]:
        """Return a list of the file; [] if it has none of this name."""
        found = values.get(name, [])
        if not isinstance(found, list):
            raise InputError(
                f"`{self.path}` must have a list under `{name}`, got {found!r}. Restore it "
                "from a copy."
            )
        return found
