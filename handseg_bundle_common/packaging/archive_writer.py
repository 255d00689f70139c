"""ZIP archives that depend on nothing but what goes into them."""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from handseg_bundle_common.files import write_atomically

Content = bytes | Path
"""What a file of an archive holds: itself, or the file to copy."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that the format knows
_UNIX = 3
_PERMISSIONS = stat.S_IFREG | 0o644
_CHUNK = 2**20


def content_digest(content: Content) -> str:
    """Return the SHA-256 digest of what a file will hold, in hexadecimal digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_archive(
    path: str | PathLike[str], files: Mapping[str, Content], *, stored: bool = False, quiet: bool = False
) -> None:
    """Write an archive that is either complete or absent, and the same bytes for the same files.

    Time stamps and permissions are fixed and the files sorted by name. Deflated bytes are those of the zlib that Python
    comes with; another one may pack the same files a little differently.

    Args:
        path: archive to write.
        files: what it holds, by name with forward slashes.
        stored: pack nothing, as PyTorch expects it of its own archives.
        quiet: show no progress.

    Raises:
        HandsegInputError: the archive cannot be written.
    """
    with (
        write_atomically(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        tqdm(sorted(files.items()), desc=Path(path).name, unit="file", disable=quiet) as steps,
    ):
        for name, content in steps:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _PERMISSIONS << 16
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            _write(archive, entry, content)


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, content: Content) -> None:
    if isinstance(content, bytes):
        archive.writestr(entry, content)
        return
    # Known beforehand, the size decides between the format's two kinds of entries.
    entry.file_size = content.stat().st_size
    with content.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target, _CHUNK)
