"""Where bundles lie, by path or by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

from handseg_bundle_common import resources
from handseg_bundle_common.errors import HandsegInputError

METADATA = Path("configs", "metadata.json")


def find_bundle(name: str) -> str:
    """Return the absolute folder of a bundle.

    A name is the folder's name or the "name" in its metadata, and is looked up as `known_bundles` says.

    Args:
        name: a folder that holds `configs/metadata.json`, or a bundle's name.

    Raises:
        HandsegInputError: there is no such bundle; the sentence lists the known ones.
    """
    folder = Path(name).expanduser()
    if (folder / METADATA).is_file():
        return str(folder.resolve())
    known = known_bundles()
    for bundle in known:
        if name in (bundle.name, _metadata_name(bundle)):
            return str(bundle)
    names = ", ".join(dict.fromkeys(bundle.name for bundle in known)) or "none found"
    raise HandsegInputError(name, "is no bundle", f"name a bundle's folder or one of the known bundles ({names})")


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


def _metadata_name(bundle: Path) -> str | None:
    try:
        metadata = json.loads((bundle / METADATA).read_bytes())
    except (OSError, ValueError):
        return None
    return metadata.get("name") if isinstance(metadata, dict) else None
