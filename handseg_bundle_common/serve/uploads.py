"""Radiographs that clients send: where they lie, and under which name their results appear."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import SUFFIXES, read_size
from handseg_bundle_common.serve.problems import RefusedError

_BLOCK = 1 << 20
_LONGEST_NAME = 120
_UNNAMED = "radiograph"
# What file systems, archives and headers of an answer give a meaning.
_SPECIAL = re.compile(r'[<>:"/\\|?*]')


@dataclass(frozen=True)
class Upload:
    """A radiograph that was sent.

    Attributes:
        path: where it lies; the name there is the server's own.
        name: the file's name as the client tells it, made harmless.
        digest: SHA-256 of its content.
    """

    path: Path
    name: str
    digest: str


def receive(content: BinaryIO, name: str, folder: Path) -> Upload:
    """Put what a client sends into a folder, after a look at its header.

    Args:
        content: the file.
        name: its name, whose suffix tells the format; DICOM needs none.
        folder: an empty folder.

    Raises:
        RefusedError: it is empty, no radiograph, broken or too large.
    """
    harmless = harmless_name(name)
    path = folder / f"{_UNNAMED}{_suffix(harmless)}"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while block := content.read(_BLOCK):
            digest.update(block)
            file.write(block)
    upload = Upload(path, harmless, digest.hexdigest())
    try:
        read_size(path)
    except HandsegInputError as error:
        raise refused(upload, error) from error
    return upload


def refused(upload: Upload, error: HandsegInputError) -> RefusedError:
    """Return the refusal of an upload that cannot be used, under the client's name for it."""
    return RefusedError.of(HTTPStatus.UNPROCESSABLE_ENTITY, error, str(upload.path), upload.name)


def harmless_name(name: str) -> str:
    """Return the last part of a file's name without characters that have a meaning elsewhere, not longer than needed.

    Letters of all scripts stay, because the name is the image's name in every result.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name.encode(errors="replace").decode()))[-1]
    text = "".join(letter if letter.isprintable() else "_" for letter in last)
    text = _SPECIAL.sub("_", text).strip(" ")
    stem, suffix = text[: len(text) - len(_suffix(text))], _suffix(text)
    stem = stem[:_LONGEST_NAME].lstrip(".") or _UNNAMED
    return stem + suffix


def _suffix(name: str) -> str:
    """Return which of the suffixes of radiographs ends a name, or nothing."""
    found = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[len(name) - len(found) :]
