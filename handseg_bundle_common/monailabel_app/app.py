"""What MONAI Label calls: its classes, filled with the functions of this package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.tasks.activelearning.random import Random
from monailabel.utils.async_tasks.utils import processes

from handseg_bundle_common import __version__
from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.monailabel_app.finetune import Recipe, fine_tune
from handseg_bundle_common.monailabel_app.models import Model, best_judge, served_models
from handseg_bundle_common.monailabel_app.names import UnknownNameError
from handseg_bundle_common.monailabel_app.scores import Scores
from handseg_bundle_common.monailabel_app.segment import segment
from handseg_bundle_common.monailabel_app.settings import STAND_INS, read_settings
from handseg_bundle_common.monailabel_app.store import ORIGINAL, LabelStore

DISAGREEMENT = "disagreement"
_DESCRIPTION = "29 overlapping bones of the hand and wrist"
# Images scored while a client waits for the next one; all others are scored in the background.
_WHILE_WAITING = 4


class HandDatastore(LabelStore, Datastore):
    """The store as MONAI Label knows it."""


class Segmentation(InferTask):
    """One model: radiograph in, 29 overlapping segments and numbers out."""

    def __init__(self, model: Model) -> None:
        labels = {bone: number for number, bone in enumerate(BONE_NAMES, 1)}
        description = f"{_DESCRIPTION}, {'as it came' if model.is_own else 'fine-tuned'}"
        super().__init__(InferType.SEGMENTATION, labels, 2, description, {"polygons": False})
        self.model = model

    def is_valid(self) -> bool:
        """Return whether its weights are there."""
        return self.model.is_ready

    def get_path(self, validate: bool = True) -> str | None:
        """Return the file of its weights."""
        return str(self.model.files[0]) if self.model.is_ready or not validate else None

    def __call__(self, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the path of a temporary segmentation and plain values."""
        polygons = request.get("polygons") is True or request.get("output") == "json"
        path = Path(request["image"])
        return segment(self.model, path, request["name"], device=request["device"], polygons=polygons)


class FineTuning(TrainTask):
    """The recipe of one bundle on all labels of people."""

    def __init__(self, model: Model) -> None:
        super().__init__(f"Fine-tunes {model.name} on all final labels")
        self.model = model

    def config(self) -> dict[str, Any]:
        """Return what a client may choose."""
        return dict(vars(Recipe()))

    def __call__(self, request: Mapping[str, Any], datastore: LabelStore) -> dict[str, Any]:
        """Train, and offer the result as another model."""
        return fine_tune(self.model, datastore, Recipe.parse(request))


class DisagreementScoring(ScoringMethod):
    """Scores all radiographs that have no label."""

    def __init__(self, models: dict[str, Model]) -> None:
        super().__init__("How little the members of the ensemble agree, 0 to 1")
        self.models = models

    def __call__(self, request: Mapping[str, Any], datastore: LabelStore) -> dict[str, Any]:
        """Return how many images were scored now; the others were before."""
        images = datastore.get_unlabeled_images()
        most = request.get("max_samples")
        scores = Scores(datastore, best_judge(self.models))
        done = scores.add(images, most if type(most) is int and most >= 0 else None)
        return {"total": len(images), "executed": done, "skipped": len(images) - done}


class Disagreement(Strategy):
    """Chooses the radiograph on which the networks agree least."""

    def __init__(self, models: dict[str, Model]) -> None:
        super().__init__("The image on which the members of the ensemble agree least")
        self.models = models

    def __call__(self, request: Mapping[str, Any], datastore: LabelStore) -> dict[str, Any] | None:
        """Return the id of an image and its score."""
        return Scores(datastore, best_judge(self.models)).next(_WHILE_WAITING, DISAGREEMENT)


class HandsegLabelApp(MONAILabelApp):
    """All bundles that were asked for, over one folder of radiographs."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.given = read_settings(os.environ)
        super().__init__(app_dir, studies, conf, "handseg", _DESCRIPTION, __version__, list(BONE_NAMES))

    def init_datastore(self) -> Datastore:
        """Open the folder of radiographs, or an archive that speaks DICOMweb."""
        if self.studies.startswith(("http://", "https://")):
            from handseg_bundle_common.monailabel_app.dicomweb import DicomWebStore  # noqa: PLC0415

            store: LabelStore = DicomWebStore.connect(self.studies, self.given.labels)
        else:
            store = HandDatastore(self.studies, self.given.labels)
        self.models = served_models(self.given.bundles, store.labels)
        return store

    def init_infers(self) -> dict[str, InferTask]:
        """Return one task for every model."""
        return {name: Segmentation(model) for name, model in self.models.items()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """Return one task for every bundle that has a recipe."""
        own = {name: model for name, model in self.models.items() if model.is_own}
        return {name: FineTuning(model) for name, model in own.items() if model.can_learn}

    def init_strategies(self) -> dict[str, Strategy]:
        """Return the two ways to choose the next image."""
        return {DISAGREEMENT: Disagreement(self.models), "random": Random()}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Return what prepares the choice by disagreement."""
        return {DISAGREEMENT: DisagreementScoring(self.models)}

    def infer(self, request: Mapping[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Segment an image of the store, or one that was sent along.

        Raises:
            UnknownNameError: there is no such model or image.
        """
        task = self._infers.get(request.get("model"))
        if task is None or not task.is_valid():
            model = str(request.get("model"))[:60]
            raise UnknownNameError("model", f"{model!r} is not there", "take one of GET /info/")
        store = datastore or self.datastore()
        image = str(request.get("image"))
        is_sent = image not in store.images() and _was_sent(image)
        path = Path(image) if is_sent else store.path_of(image)
        name = path.name if is_sent else image
        options = {key: request.get(key) for key in ("polygons", "output")}
        device = "cpu" if request.get("device") == "cpu" else "auto"
        written, numbers = task({"image": str(path), "name": name, "device": device, **options})
        result: dict[str, Any] = {"label": written, "tag": ORIGINAL, "file": written, "params": numbers}
        if request.get("save_label") is True and not is_sent:
            tag = str(getattr(request.get("label_tag"), "value", request.get("label_tag") or ORIGINAL))
            result["label"] = store.save_label(image, written, tag, {"model": numbers["model"]})
        return result

    def batch_infer(self, request: Mapping[str, Any], datastore: Any = None) -> Any:
        """Segment many images of the store, one after the other; MONAI Label would share them among graphics cards."""
        return super().batch_infer({**request, "multi_gpu": False, "max_workers": 1}, datastore)

    def infer_wsi(self, request: Mapping[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Refuse: this is for slides under a microscope."""
        raise HandsegInputError("infer", "there are no slides here", "use POST /infer/MODEL")

    def async_scoring(self, method: str | None, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have images scored in the background, if there are any to score and nobody is at it."""
        scores = Scores(self.datastore(), best_judge(self.models))
        is_done = all(scores.known(image) is not None for image in self.datastore().get_unlabeled_images())
        if is_done or processes("scoring"):
            return {}
        started: dict[str, Any] = super().async_scoring(method, params)
        return started

    def bundle_path(self, model: str) -> str:
        """Return what MONAI Label puts on the path of its processes, whatever a client asked for."""
        return str(STAND_INS)

    def on_save_label(self, image_id: str, label_id: str) -> dict[str, Any]:
        """Return which bones a new label has no segment of."""
        tag = self.datastore().last_saved_tag
        return {"notes": self.datastore().get_label_info(label_id, tag).get("notes", [])}


def _was_sent(image: str) -> bool:
    """Tell whether a path is that of a file which a client has sent: such are kept in a folder of the server's own."""
    path = Path(image)
    uploads = Path(tempfile.gettempdir()).resolve()
    return path.is_absolute() and path.resolve().is_relative_to(uploads) and path.is_file()
