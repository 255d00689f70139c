"""The labels that networks and people have made of radiographs.

A label is kept byte for byte as `<labels>/<tag>/<image>.seg.nrrd`; `final` are those of people, `original` those of
networks. What is known of images and labels besides stands in `<labels>/store.json`. The methods are those of MONAI
Label's `Datastore`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handseg_bundle_common.datasets.lists import Item
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats.radiograph import radiograph_stem
from handseg_bundle_common.monailabel_app.images import RadiographFolder
from handseg_bundle_common.monailabel_app.incoming import check_label
from handseg_bundle_common.monailabel_app.names import UnknownNameError, check_info, check_name, check_tag, path_below

FINAL, ORIGINAL = "final", "original"
LABEL_SUFFIX = ".seg.nrrd"
# Folders beside those of the tags, see `models.py`, `scores.py`, `finetune.py` and `dicomweb.py`.
RESERVED = frozenset({"models", "radiographs", "scores", "trainings"})


class LabelStore(RadiographFolder):
    """Radiographs and their labels; see `RadiographFolder` for the arguments.

    Attributes:
        last_saved_tag: tag of the label that was saved last.
    """

    last_saved_tag = FINAL

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: Mapping[str, Any]) -> str:
        """Keep a label byte for byte, in place of the one of that tag, after it has been read once.

        Raises:
            HandsegInputError: the image is unknown, the tag cannot be used, or the file is no segmentation with bones
                of the image's size.
        """
        image = self.path_of(image_id)
        notes = check_label(label_filename, image)
        target = self._label_path(image_id, label_tag)
        info = {**label_info, "ts": int(time.time()), "name": target.name, "notes": list(notes)}
        with self._lock:
            with write_atomically(target) as temporary:
                shutil.copyfile(label_filename, temporary)
            self._info["labels"].setdefault(label_tag, {})[image_id] = info
            self.last_saved_tag = label_tag
            self._write()
        return image_id

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Return the file of a label, or nothing where there is none."""
        path = self._label_path(label_id, label_tag)
        return str(path) if path.is_file() else ""

    def get_label(self, label_id: str, label_tag: str, params: object = None) -> bytes:
        """Return the bytes of a label's file."""
        return self._existing_label(label_id, label_tag).read_bytes()

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """Return what is known of a label; `notes` tells which bones it has no segment of."""
        self._existing_label(label_id, label_tag)
        return dict(self._info["labels"].get(label_tag, {}).get(label_id, {}))

    def update_label_info(self, label_id: str, label_tag: str, info: Mapping[str, Any]) -> None:
        """Add to what is known of a label."""
        self._existing_label(label_id, label_tag)
        check_info(info)
        with self._lock:
            self._info["labels"].setdefault(label_tag, {}).setdefault(label_id, {}).update(info)
            self._write()

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Delete a label."""
        with self._lock:
            self._existing_label(label_id, label_tag).unlink()
            self._info["labels"].get(label_tag, {}).pop(label_id, None)
            self._write()

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Return the ids of an image's labels by their tags."""
        return {tag: image_id for tag in self.tags() if self.get_label_uri(image_id, tag)}

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Return the id of an image's label of a tag, or nothing."""
        return self.get_labels_by_image_id(image_id).get(tag, "")

    def get_labeled_images(self, label_tag: str | None = None, labels: object = None) -> list[str]:
        """Return the ids of the images that have a label of people."""
        return [image for image in self.images() if self._final(image)]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: object = None) -> list[str]:
        """Return the ids of the images that have no label of people."""
        return [image for image in self.images() if not self._final(image)]

    def tags(self) -> list[str]:
        """Return the tags that labels have, and the two that are always there."""
        found = {path.name for path in self.labels.iterdir() if path.is_dir() and path.name[0] != "."}
        return sorted((found - RESERVED) | {FINAL, ORIGINAL})

    def datalist(self) -> list[Item]:
        """Return an item for training of every radiograph with a label of people; its folder names the patient."""
        return [self._item(image_id, path) for image_id, path in self.images().items() if self._final(image_id)]

    def get_dataset_archive(self, limit_cases: int | None = None) -> str:
        """Return a ZIP file of the images with a label of people and of these labels.

        Raises:
            HandsegInputError: there are none.
        """
        items = self.datalist()[: limit_cases or None]
        if not items:
            raise HandsegInputError("dataset", "has no label yet", "save one first")
        with (
            tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        ):
            for item in items:
                archive.write(item["image"], Path("image", Path(item["image"]).relative_to(self.studies)))
                archive.write(item["label"], Path("label", Path(item["label"]).relative_to(self.labels / FINAL)))
        return file.name

    def status(self) -> dict[str, Any]:
        """Return how many images and labels there are."""
        images = self.images()
        counts = {tag: sum(bool(self.get_label_uri(image, tag)) for image in images) for tag in self.tags()}
        return {"total": len(images), "completed": counts[FINAL], "label_tags": counts}

    def json(self) -> dict[str, Any]:
        """Return all images with their labels."""
        objects = {image_id: self._entry(image_id, path) for image_id, path in self.images().items()}
        described = {"name": self.name(), "description": self.description()}
        return {**described, "images_dir": "", "labels_dir": self.labels.name, "objects": objects}

    def _entry(self, image_id: str, path: Path) -> dict[str, Any]:
        labels = {
            tag: self._info["labels"].get(tag, {}).get(image_id, {}) for tag in self.get_labels_by_image_id(image_id)
        }
        info = {"name": path.name, **self._info["images"].get(image_id, {})}
        return {
            "image": {"ext": path.name[len(radiograph_stem(path)) :], "info": info},
            "labels": {tag: {"ext": LABEL_SUFFIX, "info": told} for tag, told in labels.items()},
        }

    def _item(self, image_id: str, path: Path) -> Item:
        folder = path.parent.relative_to(self.studies).as_posix()
        patient = image_id if folder == "." else folder
        return {
            "image": str(self.path_of(image_id)),
            "label": str(self._final(image_id)),
            "image_name": path.name,
            "patient": patient,
        }

    def _final(self, image_id: str) -> str:
        return self.get_label_uri(image_id, FINAL)

    def _label_path(self, label_id: str, tag: str) -> Path:
        if check_tag(tag) in RESERVED:
            raise HandsegInputError("tag", f"{tag!r} names another folder of the server", "choose another one")
        return path_below(self.labels / tag, f"{check_name(label_id, 'label')}{LABEL_SUFFIX}")

    def _existing_label(self, label_id: str, tag: str) -> Path:
        path = self._label_path(label_id, tag)
        if not path.is_file():
            raise UnknownNameError("label", f"{label_id[:60]!r} is not there", "take one of GET /datastore/?output=all")
        return path
