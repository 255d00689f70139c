"""Where bundles lie, by path or by name."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

from handseg_bundle_common import __version__, resources
from handseg_bundle_common.errors import HandsegInputError

METADATA = Path("configs", "metadata.json")
PACKAGE = __name__.partition(".")[0]
"""The package's name, under which an exported bundle carries its own copy."""


def find_bundle(name: str, exported_with: str | None = None) -> str:
    """Return the absolute folder of a bundle.

    A name is the folder's name or the "name" in its metadata, and is looked up as `known_bundles` says.

    Args:
        name: a folder that holds `configs/metadata.json`, an archive that has been verified, or a bundle's name.
        exported_with: in the configurations of an exported bundle, the version of the package that it carries. Such
            a bundle is first looked for where MONAI has found its configuration.

    Raises:
        HandsegInputError: there is no such bundle, and the sentence lists the known ones; the archive has not been
            verified; or it was exported with another version of the package than the one that this process uses.
    """
    if exported_with is not None:
        _require_version(name, exported_with)
    folder = Path(name).expanduser()
    if exported_with is None and (folder / METADATA).is_file():
        return _own_version(folder.resolve())
    if exported_with is None and folder.is_file():
        return _own_version(_unpacked(folder))
    known = known_bundles()
    for bundle in [*(_run_bundles() if exported_with is not None else []), *known]:
        if name in (bundle.name, _metadata_name(bundle)):
            return _own_version(bundle)
    names = ", ".join(dict.fromkeys(bundle.name for bundle in known)) or "none found"
    raise HandsegInputError(name, "is no bundle", f"name a bundle's folder or one of the known bundles ({names})")


def unpacked_folder(archive: Path) -> Path:
    """Return where an archive lies unpacked once it has been verified, by its content; the folder need not exist.

    Args:
        archive: a file.

    Raises:
        HandsegInputError: it cannot be read.
    """
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HandsegInputError(archive, f"cannot be read ({error.strerror})", "name a bundle's archive") from error
    return resources.cache_folder().absolute() / "bundles" / digest[:32]


def _unpacked(archive: Path) -> Path:
    folder = unpacked_folder(archive)
    if not (folder / METADATA).is_file():
        raise HandsegInputError(archive, "has not been verified", f"run handseg verify {archive} first")
    return folder


def known_bundles() -> list[Path]:
    """Return every bundle folder that can be found by name, each once, in order of precedence.

    The working directory and the folder that holds this package come first, each of which may be a bundle itself (an
    exported one carries its own copy of the package); then what stands on the `bundle_shelves`.
    """
    found = [own for own in (Path.cwd(), resources.REPOSITORY) if (own / METADATA).is_file()]
    for shelf in bundle_shelves():
        found += [metadata.parents[1] for metadata in sorted(shelf.glob(f"*/{METADATA.as_posix()}"))]
    return list(dict.fromkeys(found))


def bundle_shelves() -> list[Path]:
    """Return the folders whose subfolders are bundles, in order of precedence.

    Those of `$HANDSEG_BUNDLES` come first, then the repository's `bundles/` and `<prefix>/share/handseg/bundles`.
    """
    listed = [Path(entry).expanduser() for entry in os.environ.get("HANDSEG_BUNDLES", "").split(os.pathsep) if entry]
    shelves = (*listed, resources.REPOSITORY / "bundles", resources.INSTALLED / "bundles")
    return list(dict.fromkeys(shelf.resolve() for shelf in shelves))


def _run_bundles() -> list[Path]:
    """Return the bundles on Python's search path, where MONAI puts the one that it runs, the latest first."""
    return [Path(entry).resolve() for entry in sys.path if (Path(entry) / METADATA).is_file()]


def _own_version(bundle: Path) -> str:
    """Return the folder of a bundle, unless it carries another version of the package than this one.

    Two versions cannot be imported in one process, and code of one is not to run with configurations of the other.
    """
    try:
        text = (bundle / PACKAGE / "__init__.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return str(bundle)
    carried = re.search(r'^__version__ = "([^"]*)"', text, re.MULTILINE)
    _require_version(bundle, carried[1] if carried else "unknown")
    return str(bundle)


def _require_version(source: str | Path, version: str) -> None:
    if version != __version__:
        problem = f"was exported with version {version} of {PACKAGE}, and this process uses {__version__}"
        remedy = "run it in a process of its own, from a folder without another copy, or export it with this version"
        raise HandsegInputError(source, problem, remedy)


def _metadata_name(bundle: Path) -> str | None:
    try:
        metadata = json.loads((bundle / METADATA).read_bytes())
    except (OSError, ValueError):
        return None
    return metadata.get("name") if isinstance(metadata, dict) else None
