"""The models that the server offers: bundles with the weights they came with, and with those it has fine-tuned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, read_json, write_atomically
from handseg_bundle_common.weights import METADATA, find_bundle

MODELS = "models"
_FINETUNED = "-finetuned"
_INFERENCE = Path("configs", "inference.json")
_REMEDY = "compare the bundle with bundles/effisegnet"


@dataclass(frozen=True)
class Model:
    """A bundle with one set of weights.

    Attributes:
        name: unique on the server.
        bundle: folder of the bundle.
        weights: file in place of the bundle's own, which may not be there yet; None for the bundle's own.
        members: of a fine-tuned ensemble, the files of fine-tuned weights by the bundles of its members.
        folder: of a fine-tuned ensemble, where its configurations are written.
    """

    name: str
    bundle: Path
    weights: Path | None = None
    members: tuple[tuple[str, Path], ...] = ()
    folder: Path | None = None

    @property
    def is_ready(self) -> bool:
        """Whether its weights are there."""
        return any(path.is_file() for path in self.files)

    @property
    def is_own(self) -> bool:
        """Whether its weights are those that the bundle came with."""
        return self.weights is None and self.folder is None

    @property
    def files(self) -> list[Path]:
        """The files of weights that decide what it predicts."""
        if self.folder is not None:
            return [path for _, path in self.members]
        return [self.weights or self.bundle / "models" / "model.pt"]

    @property
    def version(self) -> str:
        """What changes when the weights do."""
        states = [(path.stat().st_mtime_ns, path.stat().st_size) for path in self.files if path.is_file()]
        return json.dumps([self.name, states])

    @property
    def can_learn(self) -> bool:
        """Whether the bundle has a recipe for fine-tuning."""
        return (self.bundle / "configs" / "finetune.json").is_file()

    def source(self) -> str:
        """Return the folder of the bundle to load; that of a fine-tuned ensemble is written first."""
        return str(self.bundle if self.folder is None else self._write_ensemble(self.folder))

    def _write_ensemble(self, folder: Path) -> Path:
        """Write the ensemble's configurations with the weights of the members that were fine-tuned."""
        config = read_json(self.bundle / _INFERENCE, _REMEDY)
        tuned = {bundle: str(path) for bundle, path in self.members if path.is_file()}
        config["members"] = [{**m, "weights": tuned.get(m["bundle"], m["weights"])} for m in config["members"]]
        config["weights"] = str(self.bundle / "models" / "model.pt")
        with write_atomically(folder / _INFERENCE) as temporary:
            temporary.write_text(json.dumps(config, indent=4), encoding="utf-8")
        shutil.copyfile(self.bundle / METADATA, folder / METADATA)
        return folder


def served_models(bundles: Sequence[str], labels: Path) -> dict[str, Model]:
    """Return the models of bundles: each with its own weights, and fine-tuned where it can be.

    Args:
        bundles: names or folders.
        labels: folder of the server, in whose `models` fine-tuned weights lie.

    Raises:
        HandsegInputError: there is none, or one is not there or has no weights, or two have one name.
    """
    found: dict[str, Model] = {}
    for folder in [Path(find_bundle(bundle)) for bundle in bundles]:
        model = Model(folder.name, folder)
        if not model.is_ready:
            raise HandsegInputError(folder, "has no weights", "train it, or run handseg install-weights")
        if model.name in found:
            raise HandsegInputError(folder, f"has the same name as {found[model.name].bundle}", "rename one of them")
        found[model.name] = model
        found[model.name + _FINETUNED] = _finetuned(model, make_folder(labels / MODELS))
    if not found:
        raise HandsegInputError("bundles", "there is none with weights", "train one, or name it with BUNDLES")
    return found


def _finetuned(model: Model, folder: Path) -> Model:
    name = model.name + _FINETUNED
    if model.can_learn:
        return Model(name, model.bundle, finetuned_weights(folder, model.name))
    config: dict[str, Any] = read_json(model.bundle / _INFERENCE, _REMEDY)
    names = [member["bundle"] for member in config.get("members", [])]
    members = tuple((bundle, finetuned_weights(folder, Path(bundle).name)) for bundle in names)
    return Model(name, model.bundle, None, members, folder / model.name)


def finetuned_weights(folder: Path, bundle: str) -> Path:
    """Return where the fine-tuned weights of a bundle lie, once there are some."""
    return folder / bundle / "model.pt"


def best_judge(models: dict[str, Model]) -> Model:
    """Return the model whose doubts choose the next image: an ensemble if there is one, with what was learnt."""
    ready = [model for model in models.values() if model.is_ready]
    ensembles = [model for model in ready if not model.can_learn]
    return (ensembles or ready)[-1]
