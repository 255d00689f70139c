"""Weights that become a bundle's own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from tqdm import tqdm

from handseg_bundle_common.datasets import data_list, sample_dir
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.inference import Predictor, load_predictor
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.metrics import dice
from handseg_bundle_common.weights import DECLARED, METADATA, find_bundle, save_weights, stored_settings

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
    that, the bundle's network has to take them and segments the sample radiographs, which runs code that the bundle's
    configuration names.

    Args:
        weights: file that a training of the bundle wrote.
        bundle: name or folder of the bundle.

    Raises:
        HandsegInputError: bundle or weights cannot be used, do not belong together, or hold numbers that are not
            finite; or the bundle's folder cannot be written to.
    """
    root = Path(find_bundle(bundle))
    if "members" in read_json(root / "configs" / "inference.json", _COMPARE):
        raise HandsegInputError(root.name, "is an ensemble, whose weights are its members'", "name a member's bundle")
    predictor = load_predictor(str(root), device="cpu", weights=weights)
    _require_finite(predictor.network.state_dict(), weights)
    found = sample_dice(predictor)
    metadata = read_json(root / METADATA, _COMPARE)
    target = root / _FILE
    save_weights(predictor.network, target, half_precision=True, settings=stored_settings(weights))
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    parameters = sum(parameter.numel() for parameter in predictor.network.parameters())
    installed = Installed(target, digest, target.stat().st_size, parameters, found)
    entry = {"sha256": digest, "bytes": installed.size, "parameters": parameters, "sample_dice": round(found, 5)}
    changed = {**metadata, DECLARED: {**metadata.get(DECLARED, {}), _FILE: entry}}
    with write_atomically(root / METADATA) as temporary:
        temporary.write_text(json.dumps(changed, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
    return installed


def sample_dice(predictor: Predictor) -> float:
    """Return the mean Dice over the bones of the sample radiographs that come with handseg."""
    scores = []
    for item in tqdm(data_list(sample_dir()), desc="sample radiographs", unit="image"):
        masks = unpack_masks(predictor(item["image"]))
        label = rasterise(read_annotations(item["label"]), *masks.shape[1:])
        scores.append(dice(torch.from_numpy(masks)[None], torch.from_numpy(label)[None]).mean())
    return float(torch.stack(scores).mean())


def _require_finite(state: dict[str, torch.Tensor], weights: str | PathLike[str]) -> None:
    broken = next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        remedy = "train again with a smaller learning rate"
        raise HandsegInputError(weights, f"holds numbers that are not finite (in {broken})", remedy)
