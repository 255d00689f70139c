"""Which radiographs to segment, and under which names their results appear."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from handseg_bundle_common.datasets import find_images
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_files import is_mask_file
from handseg_bundle_common.formats.radiograph import read_size

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A radiograph on disk and its name in the results: the file's name, or its path with `/` between folders."""

    path: Path
    name: str


def find_sources(
    images: Iterable[str | os.PathLike[str]], *, keep_folders: bool = False, exclude: Sequence[Path] = ()
) -> list[Source]:
    """Return the radiographs among files and folders, each once.

    Of files that are named the headers are checked; what a folder holds is taken as it is, so that one bad file among
    thousands need not stop anything.

    Args:
        images: files, and folders that are searched recursively; masks in them, NIfTI or DICOM, are passed over.
        keep_folders: name radiographs by their path below the deepest folder that holds everything given.
        exclude: folders that are not searched, such as those of earlier results.

    Raises:
        HandsegInputError: nothing is given, a folder holds no radiograph, a file that is named is no radiograph, or
            two radiographs would have one name.
    """
    texts = [os.fspath(image) for image in images]
    if not texts or "" in texts:
        raise HandsegInputError("images", "no radiograph is named", "name at least one file or folder")
    given = [Path(text) for text in texts]
    roots = [path.resolve() if path.is_dir() else path.parent.resolve() for path in given]
    top = Path(os.path.commonpath(roots))
    sources: dict[Path, Source] = {}
    named: dict[str, Source] = {}
    for path, root in zip(given, roots, strict=True):
        for below in _below(path, exclude):
            file = root / below
            if file.resolve() in sources:
                continue
            source = Source(file, file.relative_to(top).as_posix() if keep_folders else file.name)
            if not path.is_dir():
                read_size(file)
            _check_name(source, named.setdefault(source.name, source))
            sources[file.resolve()] = source
    if not sources:
        raise HandsegInputError(given[0], "holds nothing but earlier results", "name other files or folders")
    return list(sources.values())


def _below(path: Path, exclude: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of a folder relative to it, or the name of a file."""
    if not path.is_dir():
        yield Path(path.name)
        return
    excluded = {folder.resolve() for folder in exclude}
    for file in find_images(path):
        if not excluded.isdisjoint(file.resolve().parents):
            continue
        if is_mask_file(file):
            _logger.warning("%s: holds masks, not a radiograph, and is passed over.", file)
            continue
        yield file.relative_to(path)


def _check_name(source: Source, first: Source) -> None:
    if source is not first:
        raise HandsegInputError(
            source.path, f"has the same name as {first.path}", "rename one of them or use --keep-folders"
        )
