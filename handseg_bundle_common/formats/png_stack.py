"""Masks as pictures: a folder an image, with one PNG of 1 bit a bone, `<image>/<bone>.png`."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically, write_folder_atomically
from handseg_bundle_common.formats.mask_image import (
    MaskImage,
    Size,
    bone_bits,
    channel_of,
    is_merged,
    merged_note,
    missing_note,
    origin_of,
    origin_text,
    united_note,
    unknown_note,
)
from handseg_bundle_common.formats.stored import check_size
from handseg_bundle_common.masks import Packed

_SUFFIX, _TEXT = ".png", "handseg"
_WRITE_AGAIN = "write one PNG of two levels a bone, all of the image's size"
_FILES = tuple(f"{name}{_SUFFIX}" for name in BONE_NAMES)


def write_png_stack(folder: str | PathLike[str], image: MaskImage) -> None:
    """Write 29 pictures, also of the bones without a pixel; each tells the image's name and spacing as text.

    Args:
        folder: a new one, or one of which nothing but these pictures is replaced, such as one with more images below.
        image: the masks.

    Raises:
        HandsegInputError: the folder cannot be written, or holds another picture that would be read with these.
    """
    target = Path(folder)
    _check_replaceable(target)
    if not target.is_dir() or all(file.name in _FILES for file in target.iterdir()):
        with write_folder_atomically(target) as temporary:
            for channel, name in enumerate(_FILES):
                _write(temporary / name, image, channel)
        return
    for channel, name in enumerate(_FILES):
        with write_atomically(target / name) as temporary:
            _write(temporary, image, channel)


def has_png_stack(folder: str | PathLike[str]) -> bool:
    """Tell whether a folder holds the pictures of `write_png_stack`.

    Raises:
        HandsegInputError: it holds some pictures of bones, so that nobody knows whether it is finished.
    """
    found = {channel_of(file.stem) for file in _pictures(folder)} - {None}
    is_whole = all(Path(folder, name).is_file() for name in _FILES)
    if found and not is_whole:
        problem = f"holds pictures of {len(found)} of {NUM_BONES} bones"
        raise HandsegInputError(folder, problem, "name another place or add --overwrite")
    return is_whole


def read_png_stack(folder: str | PathLike[str], size: Size | None = None) -> MaskImage:
    """Read the pictures of a folder that are named as bones.

    Args:
        folder: the folder.
        size: (H, W) of the image, if it is known.

    Raises:
        HandsegInputError: no picture is named as a bone, or one cannot be read, has more than two levels or another
            size.
    """
    files = _pictures(folder)
    bones = [(file, channel) for file in files if (channel := channel_of(file.stem)) is not None]
    if not bones:
        raise HandsegInputError(
            folder, f"holds no PNG with the name of a bone, such as {BONE_NAMES[0]}.png", _WRITE_AGAIN
        )
    masks: Packed | None = None
    origin: dict[str, Any] = {}
    for file, channel in bones:
        mask, text = _read(file, size)
        size = mask.shape[0], mask.shape[1]
        masks = np.zeros(size, np.uint32) if masks is None else masks
        masks |= mask.astype(np.uint32) << np.uint32(channel)
        origin = origin or origin_of(text)
    assert masks is not None  # noqa: S101 - for the type checker: there is a bone
    notes = missing_note("picture", [channel for _, channel in bones])
    notes += unknown_note("picture", [file.name for file in files if channel_of(file.stem) is None])
    notes += united_note("pictures", [channel for _, channel in bones])
    notes += merged_note([file.stem for file in files if is_merged(file.stem)])
    return MaskImage(origin.get("image", ""), masks, origin.get("spacing_mm"), notes)


def is_png_mask(path: str | PathLike[str]) -> bool:
    """Tell whether a file is a picture of 1 bit that is named as a bone."""
    if channel_of(Path(path).stem) is None:
        return False
    try:
        with Path(path).open("rb") as stream, Image.open(stream, formats=("PNG",)) as image:
            return image.mode == "1"
    except Exception:  # a broken picture is refused where it is read
        return False


def is_png_stack(folder: str | PathLike[str]) -> bool:
    """Tell whether a folder holds pictures named as bones."""
    return any(channel_of(file.stem) is not None for file in _pictures(folder))


def _pictures(folder: str | PathLike[str]) -> list[Path]:
    if not Path(folder).is_dir():
        return []
    files = (file for file in Path(folder).iterdir() if file.suffix.lower() == _SUFFIX and file.name[0] != ".")
    return sorted(file for file in files if file.is_file())


def _check_replaceable(folder: Path) -> None:
    """Refuse a place at which the written pictures would not be read as they are, or something else be lost."""
    if folder.exists() and not folder.is_dir():
        raise HandsegInputError(folder, "is a file, not a folder", "name another place")
    for file in _pictures(folder):
        channel = channel_of(file.stem)
        if channel is not None and file.name not in _FILES:
            problem = f"holds {file.name!r}, which would be read with {_FILES[channel]}"
            raise HandsegInputError(folder, problem, "move it or name another place")


def _write(path: Path, image: MaskImage, channel: int) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text(_TEXT, origin_text(image))
    Image.fromarray(bone_bits(image.masks, channel)).save(path, pnginfo=text)


def _read(path: Path, size: Size | None) -> tuple[NDArray[np.bool_], str]:
    """Return a mask and the text that `write_png_stack` wrote beside it."""
    try:
        with path.open("rb") as stream, Image.open(stream, formats=("PNG",)) as image:
            check_size(path, image.height, image.width)
            if size is not None and (image.height, image.width) != size:
                problem = f"is of {image.width} x {image.height} px, others of {size[1]} x {size[0]}"
                raise HandsegInputError(path, problem, _WRITE_AGAIN)
            text = image.info.get(_TEXT, "")
            levels = np.asarray(image)
    except (HandsegInputError, MemoryError):
        raise
    except Exception as error:  # broken bytes make Pillow's decoders raise nearly any type
        raise HandsegInputError(path, f"cannot be read as a PNG ({error})", _WRITE_AGAIN) from error
    if levels.ndim != 2:
        raise HandsegInputError(path, "is in colour, so it is no mask", _WRITE_AGAIN)
    mask = levels != 0
    if mask.any() and not (levels[mask] == levels[mask][0]).all():
        raise HandsegInputError(path, "has more than two levels, so it is no mask", _WRITE_AGAIN)
    return mask, text
