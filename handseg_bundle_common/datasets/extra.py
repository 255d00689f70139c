"""Further data for training beside a fold's own, each list with a sampling weight."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from handseg_bundle_common.datasets.lists import LAYOUT, Item, data_list
from handseg_bundle_common.datasets.sampling_weights import SAMPLING_WEIGHT, sampling_weight
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json

_ENTRY = 'write {"data": "folder or data list", "weight": 0.5} for each'
_DATA_LIST = 'write it as [{"image": "a.png", "label": "a.json", "patient": "name"}, ...] or {"training": [...]}'


def with_extra_data(
    data: Sequence[Item], extra: Sequence[Mapping[str, Any]], held_out: Sequence[Item]
) -> list[dict[str, Any]]:
    """Return the training items of a fold and those of further data lists.

    A data list is a folder in the layout of `data_list`, or a JSON file of MONAI: a list of items or
    `{"training": items}`, paths relative to the file, of which `image`, `label`, `image_name` and `patient` are taken.
    Without `patient`, the folder of an image names its patient. Images are compared by content, but only read where
    their files have the same size.

    Args:
        data: training items of the fold.
        extra: the further lists, `{"data": path, "weight": w}` each; `SeededBatchSampler` deals each of their items
            w times an epoch on average, once without `weight`.
        held_out: validation items of the fold; none of their patients may train.

    Returns:
        The items of `data`, then those of each list; where a weight is not 1, `sampling_weight` holds it.

    Raises:
        HandsegInputError: a list cannot be read or lacks labels, a weight is not positive, a patient is held out, or
            an image is given twice.
    """
    if not isinstance(extra, Sequence) or isinstance(extra, str):
        raise HandsegInputError("extra_data", f"{extra!r} is no list", _ENTRY)
    if not extra:
        raise HandsegInputError("extra_data", "names no data", _ENTRY)
    added = [item for entry in extra for item in _weighted_items(entry)]
    _check_patients(added, held_out)
    _check_copies([item["image"] for item in added], [item["image"] for item in (*data, *held_out)])
    _check_labels(added, held_out)
    return [*data, *added]


def _weighted_items(entry: Any) -> list[dict[str, Any]]:
    """Return the items of one further list with their weight."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("data"), (str, PathLike)):
        raise HandsegInputError("extra_data", f"{entry!r} names no data", _ENTRY)
    unknown = sorted(set(entry).difference(("data", "weight")))
    if unknown:
        raise HandsegInputError("extra_data", f"{unknown[0]!r} is unknown", _ENTRY)
    weight = {SAMPLING_WEIGHT: entry.get("weight", 1)}
    if sampling_weight(weight) == 1:
        weight = {}
    path = Path(entry["data"])
    items = _read_data_list(path) if path.suffix.lower() == ".json" else _labelled(path)
    return [{**item, **weight} for item in items]


def _labelled(folder: Path) -> list[Item]:
    items = data_list(folder)
    if "label" not in items[0]:
        raise HandsegInputError(folder, "has images without polygons", LAYOUT)
    return items


def _read_data_list(path: Path) -> list[Item]:
    """Return the items of a MONAI data list; the decathlon reader of MONAI knows no bare list."""
    document = read_json(path, _DATA_LIST)
    items = document.get("training") if isinstance(document, dict) else document
    if not isinstance(items, list) or not items:
        raise HandsegInputError(path, "has no list of training items", _DATA_LIST)
    return [_listed_item(path, item) for item in items]


def _listed_item(path: Path, item: Any) -> Item:
    """Return an item of a MONAI data list with absolute paths, name and patient."""
    if not isinstance(item, dict) or not all(isinstance(item.get(key), str) for key in ("image", "label")):
        raise HandsegInputError(path, f"the item {item!r} lacks an image or a label", _DATA_LIST)
    image, label = (path.absolute().parent / item[key] for key in ("image", "label"))
    for file in (image, label):
        if not file.is_file():
            raise HandsegInputError(path, f"{file} is missing", "correct the path; it is relative to the list")
    return {
        "image": str(image),
        "image_name": str(item.get("image_name", image.name)),
        "patient": str(item.get("patient", image.parent.name)),
        "label": str(label),
    }


def _check_patients(added: Iterable[Item], held_out: Iterable[Item]) -> None:
    """Refuse images of patients who are held out for validation."""
    patients = {_patient(item) for item in held_out}
    leaking = [item for item in added if _patient(item) in patients]
    if leaking:
        raise HandsegInputError(
            leaking[0]["image"],
            f"is of patient {leaking[0]['patient']!r}, who is held out for validation (such images: {len(leaking)})",
            "remove the images of these patients from the extra data, or rename them if they are others",
        )


def _patient(item: Item) -> str:
    """Return the patient's name as it compares; macOS may decompose letters of file names (NFD)."""
    return unicodedata.normalize("NFC", item["patient"])


def _check_copies(added: Sequence[str], others: Sequence[str]) -> None:
    """Refuse an image file among those added that is there already, under its own name or another."""
    try:
        copy = _first_copy(added, others)
    except OSError as error:
        raise HandsegInputError(error.filename, f"cannot be read ({error.strerror})", "check the data set") from error
    if copy:
        raise HandsegInputError(copy[0], f"is the same image as {copy[1]}", "keep one of them, or give it more weight")


def _check_labels(added: Iterable[Item], held_out: Iterable[Item]) -> None:
    """Refuse labels of held-out images, by which copies in another encoding are known."""
    known = {_content(item["label"]): item for item in held_out}
    for item in added:
        copied = known.get(_content(item["label"]))
        if copied is not None:
            problem = f"holds the labels of {copied['image']}, which is held out for validation"
            raise HandsegInputError(item["label"], problem, "remove the image from the extra data")


def _first_copy(added: Sequence[str], others: Sequence[str]) -> tuple[str, str] | None:
    """Return the first image file that was added with another of the same content, if any."""
    counts = Counter(_size(image) for image in (*others, *added))
    shared = {size for size in map(_size, added) if counts[size] > 1}
    seen = {_content(image): image for image in others if _size(image) in shared}
    for image in added:
        if _size(image) in shared:
            content = _content(image)
            if content in seen:
                return image, seen[content]
            seen[content] = image
    return None


def _size(image: str) -> int:
    return Path(image).stat().st_size


def _content(image: str) -> bytes:
    return hashlib.sha256(Path(image).read_bytes()).digest()
