"""Settings in which runs differ, and what they were made with, which is shown apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handseg_bundle_common.tracking.runs import TrackedRun

# Where results lie and what a run is called says nothing about how it was trained.
_NAMES = {"run_name", "parent_run", "experiment_name", "tracking_uri", "tracking", "output_dir"}
_ENVIRONMENT = {"git_revision", "data_fingerprint", "data_images", "python", "platform", "device", "threads"}
_VERSION = ("version_", "bundle_version")

FINGERPRINT = "data_fingerprint"


@dataclass(frozen=True)
class Setting:
    """A parameter and its value in each run; None where a run does not have it."""

    name: str
    values: tuple[str | None, ...]

    def grouped(self) -> list[tuple[str | None, list[int]]]:
        """Return each value with the numbers of its runs, counted from 1."""
        numbers: dict[str | None, list[int]] = {}
        for number, value in enumerate(self.values, 1):
            numbers.setdefault(value, []).append(number)
        return list(numbers.items())


def differing_settings(runs: Sequence[TrackedRun]) -> list[Setting]:
    """Return the hyper-parameters that are not the same in all runs, by name."""
    return [setting for setting in _differing(runs) if not _is_environment(setting.name)]


def differing_environment(runs: Sequence[TrackedRun]) -> list[Setting]:
    """Return in what else the runs differ: revision, versions of packages, machine, data."""
    return [setting for setting in _differing(runs) if _is_environment(setting.name)]


def _differing(runs: Sequence[TrackedRun]) -> list[Setting]:
    names = sorted({name for run in runs for name in run.parameters} - _NAMES)
    settings = [Setting(name, tuple(run.parameters.get(name) for run in runs)) for name in names]
    return [setting for setting in settings if len(set(setting.values)) > 1]


def _is_environment(name: str) -> bool:
    return name in _ENVIRONMENT or name.startswith(_VERSION)
