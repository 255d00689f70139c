"""A selection of members made into an ensemble bundle, which predicts, is shared and is verified like any other."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.ensemble.fusion import Fusion, save_fusion
from handseg_bundle_common.ensemble.members import Member, MemberSettings
from handseg_bundle_common.ensemble.network import Combine
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically
from handseg_bundle_common.weights import DECLARED, METADATA, find_bundle, known_bundles, stored_settings

_TEMPLATE = "ensemble"
_WEIGHTS = "models/model.pt"
_CONFIGS = ("inference.json", "evaluate.json")


def write_ensemble_bundle(selection: Mapping[str, Any], output: str | PathLike[str]) -> Path:
    """Write a bundle of the members, weights and thresholds that a selection has found.

    Its configurations are those of `bundles/ensemble` with the members put in; its metadata names the thresholds. The
    folder's name becomes the bundle's. The folder and the members' weights stay where they are: the configurations hold
    their paths. Every member is built and its weights are loaded before anything is written.

    Args:
        selection: `members`, `combine`, `bone_weights` (29 numbers by member), `thresholds` (by bone) and `calibration`
            (scale and offset by bone), as `handseg select-members` gives them.
        output: folder of the bundle; files of that name are replaced.

    Returns:
        The folder.

    Raises:
        HandsegInputError: a member lacks its bundle or weights, is an ensemble itself or does not fit its weights, a
            number is out of range, or the folder cannot be written to.
    """
    members = _members(selection)
    fusion = _fusion(selection, [member.name for member in members])
    folder, template = Path(output).absolute(), Path(find_bundle(_TEMPLATE))
    image_size = _canvas_size(members)
    changes = {
        "members": [{**member, "bundle": _portable(member["bundle"])} for member in selection["members"]],
        "combine": Combine(selection["combine"]),
        "image_size": image_size,
        "bundle_root": str(folder),
    }
    make_folder(folder / "models")
    for name in ("LICENSE", "NOTICE", "configs/logging.conf"):
        make_folder((folder / name).parent)
        shutil.copyfile(template / name, folder / name)
    for name in _CONFIGS:
        _write_json(folder / "configs" / name, {**_document(template / "configs" / name), **changes})
    metadata = _document(template / METADATA)
    metadata |= {"changelog": {metadata["version"]: f"chosen by select-members: {', '.join(fusion.names)}"}}
    metadata |= {"name": folder.name, "thresholds": dict(zip(BONE_NAMES, fusion.thresholds.tolist(), strict=True))}
    _write_text(folder / "docs" / "README.md", _readme(folder.name, members))
    save_fusion(fusion, folder / _WEIGHTS, {"image_size": image_size})
    content = (folder / _WEIGHTS).read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    _write_json(folder / METADATA, {**metadata, "eval_metrics": {}, DECLARED: {_WEIGHTS: entry}})
    return folder


def _members(selection: Mapping[str, Any]) -> list[MemberSettings]:
    """Return the members, all of which can be loaded."""
    unknown = [member["name"] for member in selection["members"] if not member["bundle"] or not member["weights"]]
    if unknown:
        remedy = "select again with --weights, or from predictions of handseg predict"
        raise HandsegInputError(", ".join(unknown), "the bundle, or a single file of weights, is not known", remedy)
    members = MemberSettings.parse_all(selection["members"])
    for member in members:
        Member.build(member).load()
    return members


def _fusion(selection: Mapping[str, Any], names: Sequence[str]) -> Fusion:
    fusion = Fusion(names)
    try:
        weights = torch.tensor([selection["bone_weights"][name] for name in names], dtype=torch.float32)
        thresholds = torch.tensor([selection["thresholds"][bone] for bone in BONE_NAMES], dtype=torch.float32)
        calibration = torch.tensor([selection["calibration"][bone] for bone in BONE_NAMES], dtype=torch.float32)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"lacks a number for a member or bone ({error})"
        raise HandsegInputError("selection", problem, "run handseg select-members again") from error
    fusion.set(weights, thresholds, calibration)
    return fusion


def _portable(bundle: str) -> str:
    """Return the name of a bundle that is found by it, its folder otherwise."""
    folder = Path(find_bundle(bundle))
    known = next((path.name for path in known_bundles() if path.name == folder.name), None)
    return folder.name if known and find_bundle(known) == str(folder) else str(folder)


def _canvas_size(members: Sequence[MemberSettings]) -> int:
    """Return the size of the member that sees most detail."""
    sizes = []
    for member in members:
        stored = stored_settings(member.weights_file) | dict(member.windows or {})
        inference = Path(find_bundle(member.bundle), "configs", "inference.json")
        sizes.append(int(stored.get("image_size") or _document(inference)["image_size"]))
    return max(sizes)


def _readme(name: str, members: Sequence[MemberSettings]) -> str:
    rows = "\n".join(f"| `{member.name}` | {member.role} | `{member.weights_file}` |" for member in members)
    return (
        f"# {name}\n\nAn ensemble that `handseg select-members` has put together. Its members keep their weights where"
        f" they are.\n\n| member | role | weights |\n|---|---|---|\n{rows}\n\n"
        f"```bash\nhandseg predict RADIOGRAPHS --bundle {name} --output predictions\n```\n"
    )


def _document(path: Path) -> dict[str, Any]:
    document = read_json(path, "compare it with bundles/ensemble")
    if not isinstance(document, dict):
        raise HandsegInputError(path, "holds no object", "compare it with bundles/ensemble")
    return document


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(document, indent=4, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
