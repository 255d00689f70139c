"""What is installed, what it runs on and which bundles are there: `handseg info`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from handseg_bundle_common import __version__
from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.resources import cache_folder
from handseg_bundle_common.weights import METADATA, bundle_shelves, find_bundle, known_bundles, stored_settings

_PACKAGES = ("torch", "monai", "mlflow")
# These are complete on their own or part of every bundle; the others are laid over train.json.
_COMPLETE = {"metadata", "train", "inference", "evaluate"}
_REMEDY = "compare it with bundles/effisegnet"


def system_info() -> dict[str, Any]:
    """Return versions, devices, bundles and folders as plain values that JSON can hold.

    Nothing but PyTorch is imported and nothing is fetched. Memory and file sizes are in bytes. A bundle that cannot
    be read stands in the list with its "problem", a sentence that is None for all others.

    Returns:
        A dictionary with `handseg`, `python`, `packages` (version, or None if not installed), `cpu`, `gpus`,
        `bundles`, `bundle_folders` (where bundles are looked for) and `cache`.
    """
    return {
        "handseg": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpu": {"cores": os.cpu_count(), "memory": _memory()},
        "gpus": [_gpu(index) for index in range(torch.cuda.device_count())],
        "bundles": [bundle_info(folder) for folder in known_bundles()],
        "bundle_folders": [str(shelf) for shelf in bundle_shelves()],
        "cache": str(cache_folder()),
    }


def bundle_info(folder: Path) -> dict[str, Any]:
    """Return what a bundle is and whether its weights are there; see `system_info`.

    Args:
        folder: the bundle's folder.
    """
    info: dict[str, Any] = {"name": folder.name, "folder": str(folder), "problem": None}
    try:
        info |= _description(folder)
        info["weights"] = _weights(folder / "models" / "model.pt")
        info["members"] = _members(folder / "configs" / "inference.json")
    except HandsegInputError as error:
        info["problem"] = str(error)
    return info


def info_text(info: Mapping[str, Any]) -> str:
    """Return what `system_info` found as a short table."""
    versions = {"handseg": info["handseg"], "Python": info["python"], **info["packages"]}
    devices = {"cpu": f"{info['cpu']['cores']} cores, {_size(info['cpu']['memory'])}"}
    devices |= {f"cuda:{k}": f"{gpu['name']}, {_size(gpu['memory'])}" for k, gpu in enumerate(info["gpus"])}
    lines = ["   ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())]
    lines += ["", "Devices", *_rows(devices)]
    for bundle in info["bundles"]:
        title = f"Bundle {bundle['name']} {bundle.get('version') or ''}".rstrip()
        lines += ["", title, *_rows(dict(_bundle_rows(bundle)))]
    if not info["bundles"]:
        lines += ["", "No bundles"]
    lines += ["", "Bundles are looked for in", *(f"  {folder}" for folder in info["bundle_folders"])]
    return "\n".join([*lines, "", "Cache", f"  {info['cache']}"])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> int | None:
    """Return the size of the main memory where the system tells it, as Windows does not."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gpu(index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    return {"name": properties.name, "memory": properties.total_memory}


def _description(folder: Path) -> dict[str, Any]:
    """Return what a bundle's metadata and configurations say."""
    path = folder / METADATA
    document = read_json(path, _REMEDY)
    if not isinstance(document, dict):
        raise HandsegInputError(path, "holds no object", _REMEDY)
    channels = _dig(document, "network_data_format", "outputs", "pred", "channel_def")
    if not isinstance(channels, dict) or list(channels.values()) != list(BONE_NAMES):
        raise HandsegInputError(path, "does not name the bones of handseg in their order as channels", _REMEDY)
    shape = _dig(document, "network_data_format", "inputs", "image", "spatial_shape")
    inference = folder / "configs" / "inference.json"
    names = sorted(path.stem for path in (folder / "configs").glob("*.json"))
    return {
        "name": document.get("name", folder.name),
        "version": document.get("version"),
        "task": document.get("task"),
        "classes": len(channels),
        "input_channels": _dig(document, "network_data_format", "inputs", "image", "num_channels"),
        "spatial_shape": shape if isinstance(shape, list) else [],
        "image_size": _dig(read_json(inference, _REMEDY), "image_size"),
        "overlays": [name for name in names if name not in _COMPLETE],
    }


def _weights(path: Path) -> dict[str, Any]:
    """Return whether a file of weights is there, and if so its size in bytes, digest and settings."""
    if not path.is_file():
        return {"path": str(path), "present": False}
    # A file from elsewhere may hold tensors among its settings.
    settings = json.loads(json.dumps(stored_settings(path), default=str))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "path": str(path),
        "present": True,
        "size": path.stat().st_size,
        "sha256": digest,
        "settings": settings,
    }


def _members(path: Path) -> list[dict[str, Any]]:
    """Return name, bundle and weights of an ensemble's members, and whether the weights are there."""
    members = _dig(read_json(path, _REMEDY), "members") or []
    if not isinstance(members, list) or not all(map(_is_member, members)):
        raise HandsegInputError(path, "has a member without name, bundle or weights", _REMEDY)
    found = []
    for member in members:
        weights = _member_weights(member["bundle"], Path(member["weights"]).expanduser())
        described = {"name": member["name"], "bundle": member["bundle"]}
        found.append({**described, "weights": str(weights), "present": weights.is_file()})
    return found


def _is_member(member: Any) -> bool:
    return isinstance(member, dict) and all(isinstance(member.get(key), str) for key in ("name", "bundle", "weights"))


def _member_weights(bundle: str, weights: Path) -> Path:
    """Return where weights lie: in the bundle, or else in the working directory."""
    try:
        in_bundle = Path(find_bundle(bundle), weights)
    except HandsegInputError:
        return weights.absolute()
    return in_bundle if in_bundle.exists() or not weights.exists() else weights.absolute()


def _dig(document: Any, *keys: str) -> Any:
    """Return what stands under keys within keys, or None."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _bundle_rows(bundle: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the table says of a bundle."""
    yield "folder", bundle["folder"]
    if "task" in bundle:
        shape = " x ".join(map(str, [bundle["input_channels"], *bundle["spatial_shape"]]))
        yield "task", str(bundle["task"])
        yield "input", f"{shape}, image_size {bundle['image_size']}"
        yield "output", f"{bundle['classes']} overlapping masks"
        yield "overlays", ", ".join(bundle["overlays"]) or "none"
    if "weights" in bundle:
        yield "weights", _weights_text(bundle["weights"])
    if bundle.get("members"):
        states = (f"{member['name']}{'' if member['present'] else ' (no weights)'}" for member in bundle["members"])
        yield "members", ", ".join(states)
    if bundle["problem"]:
        yield "problem", bundle["problem"]


def _weights_text(weights: Mapping[str, Any]) -> str:
    if not weights["present"]:
        return f"none at {weights['path']}"
    settings = ", ".join(f"{name} {value}" for name, value in weights["settings"].items())
    return f"{weights['path']}, {_size(weights['size'])}, {settings or 'no settings'}, sha256 {weights['sha256'][:12]}"


def _rows(table: Mapping[str, str]) -> list[str]:
    width = max(map(len, table))
    return [f"  {name:<{width}}  {value}" for name, value in table.items()]


def _size(count: int | None) -> str:
    """Write a number of bytes in binary units."""
    if count is None:
        return "memory unknown"
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
