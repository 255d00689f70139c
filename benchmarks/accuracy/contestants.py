"""Which bundles are measured, with which weights, and which of these are not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handseg_bundle_common.ensemble import MemberSettings
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.weights import METADATA, find_bundle, stored_settings


@dataclass(frozen=True)
class Contestant:
    """A bundle with its weights.

    Attributes:
        name: what it is called in the tables.
        folder: the bundle's.
        weights: file of its own weights.
        members: files of its members' weights by their names, if it is an ensemble.
        image_size: longer side in px at which it works.
        member_folders: the bundles of its members.
    """

    name: str
    folder: Path
    weights: Path
    members: Mapping[str, Path]
    image_size: int
    member_folders: tuple[Path, ...] = ()

    @property
    def missing(self) -> dict[str, Path]:
        """Files of weights that are not there, by the name of whose they are."""
        return {name: path for name, path in {self.name: self.weights, **self.members}.items() if not path.is_file()}

    @property
    def digest(self) -> str:
        """SHA-256 of all configurations and weights, hexadecimal: what the bundle's answers depend on."""
        configurations = map(_configuration, (self.folder, *self.member_folders))
        return digest_of([*configurations, self.weights, *self.members.values()])


def digest_of(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the digests of files, hexadecimal."""
    together = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            together.update(hashlib.file_digest(file, "sha256").digest())
    return together.hexdigest()


def bundles_in(folder: Path) -> list[str]:
    """Return the folders of the bundles in a folder, ensembles last; names would be looked up elsewhere first."""
    found = sorted(metadata.parents[1] for metadata in folder.glob(f"*/{METADATA.as_posix()}"))
    return [str(path) for path in sorted(found, key=lambda path: "members" in _read(path))]


def contestants(names: Sequence[str], weights: Mapping[str, Path]) -> list[Contestant]:
    """Describe bundles, whether their weights are there or not.

    Args:
        names: names or folders of bundles.
        weights: files in place of a bundle's own, by the bundle as it stands in `names` or by the name of its folder.
            An ensemble's members have the weights that its configuration names.

    Raises:
        HandsegInputError: there is no such bundle, or weights are named that are not there or of none of the bundles.
    """
    folders = [Path(find_bundle(name)) for name in names]
    known = {folder.name: folder for folder in folders} | dict(zip(names, folders, strict=True))
    for name, path in weights.items():
        if name not in known:
            remedy = f"use {', '.join(folder.name for folder in folders)}"
            raise HandsegInputError("--weights", f"names {name}, which is not measured", remedy)
        if not path.is_file():
            raise HandsegInputError(path, "is not there or not a file", f"name the weights of {name}")
    chosen = {known[name]: path for name, path in weights.items()}
    return [_describe(folder, chosen.get(folder)) for folder in folders]


def _describe(folder: Path, weights: Path | None) -> Contestant:
    config = _read(folder)
    own = weights or folder / "models" / "model.pt"
    described = MemberSettings.parse_all(config["members"]) if "members" in config else []
    stored = stored_settings(own) if own.is_file() else {}
    return Contestant(
        name=folder.name,
        folder=folder,
        weights=own,
        members={member.name: member.weights_file for member in described},
        image_size=stored.get("image_size", config["image_size"]),
        member_folders=tuple(Path(find_bundle(member.bundle)) for member in described),
    )


def _read(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = read_json(_configuration(folder), "compare the bundle with bundles/effisegnet")
    return config


def _configuration(folder: Path) -> Path:
    return folder / "configs" / "inference.json"
