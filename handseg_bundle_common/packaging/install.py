"""Weights that become a bundle's own."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from tqdm import tqdm

from handseg_bundle_common.datasets import data_list, sample_dir
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.inference import Predictor, load_predictor
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.metrics import dice
from handseg_bundle_common.packaging.card import CARD, NOT_MEASURED, with_numbers
from handseg_bundle_common.weights import (
    DECLARED,
    METADATA,
    declared_digest,
    find_bundle,
    load_state_dict_file,
    save_weights,
    stored_settings,
)

HALF_PRECISION_TOLERANCE = 0.0005
"""Mean Dice that half precision may cost."""

_FILE = "models/model.pt"
_COMPARE = "compare the bundle with bundles/effisegnet"


@dataclass(frozen=True)
class Installed:
    """Weights that have become a bundle's own.

    Attributes:
        path: their file.
        sha256: hexadecimal digest of the file.
        size: in bytes.
        parameters: number of the network's parameters.
        dice: `sample_dice` of the weights in the precision that they came in.
    """

    path: Path
    sha256: str
    size: int
    parameters: int
    dice: float


def install_weights(weights: str | PathLike[str], bundle: str) -> Installed:
    """Make weights a bundle's own: it segments with them when nobody names others, and they are shared with it.

    They are stored as float16 with normalisation statistics in float32, and the metadata receives their digest. Before
    that, the bundle's network segments the sample radiographs in both precisions, which runs code that the bundle's
    configuration names. What the benchmark found of the weights before is taken out of the bundle's page and metadata;
    an ensemble with the bundle as a member keeps its numbers until it is measured again.

    Args:
        weights: file that a training of the bundle wrote, with the settings that stand in its configurations.
        bundle: name or folder of the bundle.

    Raises:
        HandsegInputError: bundle or weights cannot be used, do not belong together, or lose by half precision; or the
            bundle's folder cannot be written to.
    """
    root = Path(find_bundle(bundle))
    if "members" in read_json(root / "configs" / "inference.json", _COMPARE):
        raise HandsegInputError(root.name, "is an ensemble, whose weights are its members'", "name a member's bundle")
    _require_defaults(root, weights)
    predictor = load_predictor(str(root), device="cpu", weights=weights, precision="float32")
    dice_before = sample_dice(predictor)
    with tempfile.TemporaryDirectory(dir=make_folder(root / "models"), prefix=".installing-") as folder:
        halved = Path(folder, "model.pt")
        save_weights(predictor.network, halved, half_precision=True, settings=stored_settings(weights))
        _require_same_dice(root, halved, dice_before, weights)
        return _put_in_place(root, halved, predictor, dice_before)


def _put_in_place(root: Path, halved: Path, predictor: Predictor, dice_before: float) -> Installed:
    """Move the weights to their place and write metadata and page, whose numbers were those of other weights."""
    with halved.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    parameters = sum(parameter.numel() for parameter in predictor.network.parameters())
    installed = Installed(root / _FILE, digest, halved.stat().st_size, parameters, dice_before)
    entry = {"sha256": digest, "bytes": installed.size, "parameters": parameters, "sample_dice": round(dice_before, 5)}
    metadata = read_json(root / METADATA, _COMPARE)
    if declared_digest(root / _FILE) != digest:
        metadata["eval_metrics"] = {}
    metadata[DECLARED] = {**metadata.get(DECLARED, {}), _FILE: entry}
    page = with_numbers(root / CARD, NOT_MEASURED) if (root / CARD).exists() else None
    with write_atomically(root / METADATA) as temporary:
        temporary.write_text(json.dumps(metadata, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
        # Only syncing and renaming the metadata follow.
        halved.replace(root / _FILE)
    # Numbers of the metadata stand on the page as well; without them, an earlier installation may have been cut off.
    if page is not None and not metadata.get("eval_metrics"):
        with write_atomically(root / CARD) as temporary:
            temporary.write_text(page, encoding="utf-8")
    return installed


def _require_defaults(root: Path, weights: str | PathLike[str]) -> None:
    """Refuse weights of other settings than those that a run of the bundle takes."""
    stored = stored_settings(weights)
    for name in ("train.json", "inference.json"):
        path = root / "configs" / name
        config = read_json(path, _COMPARE)
        others = [f"{key} {value}" for key, value in stored.items() if key in config and config[key] != value]
        if others:
            problem = f"was trained with {', '.join(others)}, unlike {path}"
            raise HandsegInputError(weights, problem, "write these values into train.json and inference.json first")


def _require_half_precision(halved: Path, weights: str | PathLike[str]) -> None:
    """Refuse weights that have become infinite."""
    state = load_state_dict_file(halved)
    broken = next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        problem = f"holds numbers that float16 cannot hold (above 65504) (in {broken})"
        raise HandsegInputError(weights, problem, "train again with more weight decay")


def _require_same_dice(root: Path, halved: Path, dice_before: float, weights: str | PathLike[str]) -> None:
    """Refuse weights that segment otherwise in half precision."""
    _require_half_precision(halved, weights)
    predictor = load_predictor(str(root), device="cpu", weights=halved, precision="float32")
    found = sample_dice(predictor)
    if not abs(found - dice_before) <= HALF_PRECISION_TOLERANCE:
        problem = f"gives a mean Dice of {found:.4f} in half precision instead of {dice_before:.4f}"
        raise HandsegInputError(weights, problem, "train a little longer and install those weights")


def sample_dice(predictor: Predictor) -> float:
    """Return the mean Dice over the bones of the sample radiographs that come with handseg."""
    scores = []
    for item in tqdm(data_list(sample_dir()), desc="sample radiographs", unit="image"):
        masks = unpack_masks(predictor(item["image"]))
        label = rasterise(read_annotations(item["label"]), *masks.shape[1:])
        scores.append(dice(torch.from_numpy(masks)[None], torch.from_numpy(label)[None]).mean())
    return float(torch.stack(scores).mean())
