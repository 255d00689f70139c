"""Radiographs of an archive that speaks DICOMweb, such as Orthanc: listed from there, fetched when they are needed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomweb_client import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from monailabel.config import settings
from monailabel.interfaces.datastore import Datastore

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, write_atomically
from handseg_bundle_common.monailabel_app.store import LabelStore

_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_FOLDER = "radiographs"
_REMEDY = "check the address, MONAI_LABEL_DICOMWEB_USERNAME and MONAI_LABEL_DICOMWEB_PASSWORD"


class DicomWebStore(LabelStore, Datastore):
    """The images of an archive that match a filter; labels stay on this machine.

    The id of an image is `<series>/<instance>` by their UIDs. What was fetched stays in `<labels>/radiographs`.

    Args:
        client: connection to the archive.
        labels: folder of everything that the server writes.
        search: values by attribute, such as `{"Modality": ["DX", "CR"]}`; one of several values is enough.
    """

    fresh_s = 60.0

    def __init__(self, client: DICOMwebClient, labels: str, search: Mapping[str, str | Sequence[str]]) -> None:
        self._client = client
        client.set_http_retry_params(max_attempts=2, wait_exponential_multiplier=200)
        values = [[value] if isinstance(value, str) else list(value) for value in search.values()]
        # An archive matches one value at a time.
        self._searches = [dict(zip(search, chosen, strict=True)) for chosen in itertools.product(*values)]
        self._study_of: dict[str, str] = {}
        super().__init__(make_folder(Path(labels, _FOLDER)), labels)

    @classmethod
    def connect(cls, address: str, labels: str | None) -> DicomWebStore:
        """Return the store of an address, with the filter and the password of MONAI Label's own variables.

        Raises:
            HandsegInputError: no folder for labels is named.
        """
        if not labels:
            raise HandsegInputError("LABELS", "is missing", "name a folder for the labels of an archive's radiographs")
        user, password = settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD
        client = DICOMwebClient(
            address,
            session=create_session_from_user_pass(user, password) if user and password else None,
            qido_url_prefix=settings.MONAI_LABEL_QIDO_PREFIX,
            wado_url_prefix=settings.MONAI_LABEL_WADO_PREFIX,
        )
        return cls(client, labels, settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER)

    def path_of(self, image_id: str) -> Path:
        """Return the file of a radiograph, which is fetched if it is not there yet.

        Raises:
            UnknownNameError: there is none of that id.
            HandsegInputError: the archive does not answer.
        """
        path = super().path_of(image_id)
        if not path.is_file():
            series, instance = image_id.split("/")
            dataset = self._ask(self._client.retrieve_instance, self._study_of[image_id], series, instance)
            with write_atomically(path) as temporary:
                dataset.save_as(temporary)
        return path

    def get_image_uri(self, image_id: str) -> str:
        """Return the file of a radiograph, or nothing where there is none of that id."""
        return str(self.path_of(image_id)) if image_id in self.images() else ""

    def add_image(self, image_id: str | None, image_filename: str, image_info: Mapping[str, Any]) -> str:
        """Refuse: radiographs come from the archive."""
        raise HandsegInputError("image", "is not taken here", "store it in the archive")

    def _found(self) -> Iterator[tuple[str, Path]]:
        """Yield ids and files, which may not have been fetched yet."""
        for search in self._searches:
            entries = self._ask(self._client.search_for_instances, search_filters=search, get_remaining=True)
            for entry in entries:
                study, series, instance = (str(entry[tag]["Value"][0]) for tag in (_STUDY, _SERIES, _INSTANCE))
                if all(_UID.fullmatch(uid) for uid in (study, series, instance)):
                    identifier = f"{series}/{instance}"
                    self._study_of[identifier] = study
                    yield identifier, self.studies / series / f"{instance}.dcm"

    def _ask(self, function: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except Exception as error:  # the client raises those of HTTP, JSON and DICOM
            problem = f"does not answer as an archive ({type(error).__name__})"
            raise HandsegInputError(str(self._client.base_url), problem, _REMEDY) from error
