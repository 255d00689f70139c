"""The bundles that may be asked for, named when the server starts and loaded when first used."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.inference import Predictor, load_predictor
from handseg_bundle_common.serve.answers import BundleAnswer
from handseg_bundle_common.serve.problems import RefusedError
from handseg_bundle_common.weights import METADATA

_REMEDY = "compare the bundle with bundles/effisegnet"


class Bundles:
    """Bundles by name; the first is the one that is used where none is named.

    Not made for several threads at once: segmentations, which take turns, are all that load a bundle.

    Args:
        folders: the folders by name, at least one, each of which may run.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        HandsegInputError: there is none, or a bundle's metadata cannot be read.
    """

    def __init__(self, folders: Mapping[str, str], device: str = "auto") -> None:
        if not folders:
            raise HandsegInputError("--bundle", "there is no bundle with weights", "name one, or train one")
        self._folders, self._device = dict(folders), device
        self._loaded: dict[str, Predictor] = {}
        self.default = next(iter(self._folders))
        self._descriptions = {name: _description(folder) for name, folder in self._folders.items()}

    def answers(self) -> list[BundleAnswer]:
        """Return what is told of every bundle."""
        return [
            BundleAnswer(name=name, is_default=name == self.default, is_loaded=name in self._loaded, **description)
            for name, description in self._descriptions.items()
        ]

    def check(self, name: str | None) -> str:
        """Return the name of a bundle that is served, the first one's for None.

        Raises:
            RefusedError: there is no such bundle.
        """
        if name is None:
            return self.default
        if name not in self._folders:
            remedy = f"choose among {', '.join(self._folders)}"
            raise RefusedError(HTTPStatus.NOT_FOUND, "bundle", "no bundle of that name is served", remedy)
        return name

    def predictor(self, name: str) -> Predictor:
        """Return a bundle of `check`, ready to segment; it is loaded the first time.

        Raises:
            RefusedError: it cannot be loaded.
        """
        if name not in self._loaded:
            try:
                self._loaded[name] = load_predictor(self._folders[name], device=self._device)
            except HandsegInputError as error:
                raise RefusedError.of(HTTPStatus.SERVICE_UNAVAILABLE, error) from error
        return self._loaded[name]


def _description(folder: str) -> dict[str, str]:
    path = Path(folder, METADATA)
    metadata = read_json(path, _REMEDY)
    if not isinstance(metadata, dict):
        raise HandsegInputError(path, "holds no object", _REMEDY)
    return {key: str(metadata.get(key, "")) for key in ("version", "description")}
