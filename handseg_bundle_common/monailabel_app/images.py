"""The radiographs of a folder, nested as they are, and what is known of them."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from handseg_bundle_common.datasets.lists import find_files
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, printable, read_json, write_atomically
from handseg_bundle_common.formats.mask_files import is_mask_file
from handseg_bundle_common.formats.radiograph import has_radiograph_suffix, is_radiograph_file, radiograph_stem
from handseg_bundle_common.monailabel_app.incoming import check_radiograph
from handseg_bundle_common.monailabel_app.names import UnknownNameError, check_info, check_name, path_below

_STORE = "store.json"

logger = logging.getLogger(__name__)


class RadiographFolder:
    """A folder of radiographs, and one beside or in it that the server writes to.

    Args:
        studies: folder of radiographs, searched with its subfolders; only `add_image` writes to it.
        labels: folder of everything that the server writes; `<studies>/labels` if None.

    Raises:
        HandsegInputError: a folder is missing or cannot be written to, or `store.json` cannot be read.

    Attributes:
        fresh_s: when so many seconds have passed, the folder is searched again.
    """

    fresh_s = 2.0

    def __init__(self, studies: str | PathLike[str], labels: str | PathLike[str] | None = None) -> None:
        self.studies = Path(studies).absolute()
        if not self.studies.is_dir():
            raise HandsegInputError(studies, "is not a folder", "name the folder of your radiographs")
        self.labels = make_folder(self.studies / "labels" if labels is None else labels).absolute()
        self._lock = threading.RLock()
        self._masks: dict[Path, bool] = {}
        self._nameless: set[str] = set()
        self._images: dict[str, Path] = {}
        self._searched = -self.fresh_s
        self._info: dict[str, Any] = {"name": self.studies.name, "description": "", "images": {}, "labels": {}}
        if (self.labels / _STORE).is_file():
            self._info |= read_json(self.labels / _STORE, "restore it from a copy or delete it")

    def name(self) -> str:
        """Return the name of the collection."""
        return str(self._info["name"])

    def set_name(self, name: str) -> None:
        """Name the collection."""
        self._write(name=name)

    def description(self) -> str:
        """Return what the collection is."""
        return str(self._info["description"])

    def set_description(self, description: str) -> None:
        """Describe the collection."""
        self._write(description=description)

    def images(self) -> dict[str, Path]:
        """Return the radiographs by their ids: paths below `studies` without suffix, with `/` between folders."""
        with self._lock:
            if time.monotonic() - self._searched >= self.fresh_s:
                self._images = dict(self._found())
                self._searched = time.monotonic()
            return self._images

    def refresh(self) -> None:
        """Have the folder searched again."""
        self._searched = -self.fresh_s

    def list_images(self) -> list[str]:
        """Return the ids of all radiographs, sorted by their paths."""
        return list(self.images())

    def path_of(self, image_id: str) -> Path:
        """Return the file of a radiograph.

        Raises:
            UnknownNameError: there is none of that id.
        """
        path = self.images().get(image_id)
        if path is None:
            raise UnknownNameError("image", f"{image_id[:60]!r} is not there", "take one of GET /datastore/?output=all")
        return path

    def get_image_uri(self, image_id: str) -> str:
        """Return the file of a radiograph, or nothing where there is none of that id."""
        return str(self.images().get(image_id, ""))

    def get_image(self, image_id: str, params: object = None) -> bytes:
        """Return the bytes of a radiograph's file."""
        return self.path_of(image_id).read_bytes()

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Return what is known of a radiograph; `name` is its file's."""
        path = self.path_of(image_id)
        return {"name": path.name, **self._info["images"].get(image_id, {}), "path": str(path)}

    def update_image_info(self, image_id: str, info: Mapping[str, Any]) -> None:
        """Add to what is known of a radiograph."""
        self.path_of(image_id)
        check_info(info)
        with self._lock:
            known = self._info["images"].setdefault(image_id, {})
            known.update({key: value for key, value in info.items() if key != "path"})
            self._write()

    def add_image(self, image_id: str | None, image_filename: str, image_info: Mapping[str, Any]) -> str:
        """Copy a radiograph into the folder, unless one of that id is there.

        Raises:
            HandsegInputError: it cannot be read as a radiograph, or the id cannot be used.
        """
        source = Path(image_filename)
        check_radiograph(source)
        suffix = source.name[len(radiograph_stem(source)) :] if has_radiograph_suffix(source) else ".dcm"
        identifier = image_id or radiograph_stem(source)
        target = path_below(self.studies, f"{check_name(identifier)}{suffix}")
        with self._lock:
            self.refresh()
            if identifier in self.images() or target.exists() or self._is_label(target):
                raise HandsegInputError("image", f"{identifier!r} is there already", "choose another name")
            with write_atomically(target) as temporary:
                shutil.copyfile(source, temporary)
            self.refresh()
            self.update_image_info(identifier, {**image_info, "ts": int(time.time())})
        return identifier

    def remove_image(self, image_id: str) -> None:
        """Refuse: radiographs are never deleted over the network."""
        raise HandsegInputError("image", f"{image_id[:60]!r} stays", "delete it in its folder yourself")

    def _found(self) -> Iterator[tuple[str, Path]]:
        """Yield ids and files; of two that differ in nothing but the suffix, the first."""
        seen = set()
        for path in find_files(self.studies, is_radiograph_file):
            identifier = path.relative_to(self.studies).with_name(radiograph_stem(path)).as_posix()
            if identifier in seen or self._is_label(path) or self._holds_masks(path) or not self._has_name(identifier):
                continue
            seen.add(identifier)
            yield identifier, path

    def _has_name(self, identifier: str) -> bool:
        """Tell whether labels of a radiograph can have its name; one that they cannot have is named once."""
        try:
            check_name(identifier)
        except HandsegInputError as error:
            if identifier not in self._nameless:
                logger.warning("%s: is passed over, because %s", printable(identifier), printable(str(error)))
            self._nameless.add(identifier)
            return False
        return True

    def _is_label(self, path: Path) -> bool:
        return path.is_relative_to(self.labels)

    def _holds_masks(self, path: Path) -> bool:
        """Tell whether a file holds masks; one that cannot be read is listed, and says why when it is opened."""
        if path not in self._masks:
            try:
                self._masks[path] = is_mask_file(path)
            except HandsegInputError:
                self._masks[path] = False
        return self._masks[path]

    def _write(self, **changes: Any) -> None:
        with self._lock, write_atomically(self.labels / _STORE) as temporary:
            self._info |= changes
            temporary.write_text(json.dumps(self._info, indent=1, default=str) + "\n", encoding="utf-8")
