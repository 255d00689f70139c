"""Masks of a file or folder, converted image by image in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from handseg_bundle_common.conversion.kinds import DICOM_SEG, FORMATS, NIFTI, check_formats
from handseg_bundle_common.conversion.recognise import candidates, format_of, format_of_name, has_suffix
from handseg_bundle_common.conversion.sinks import open_sink
from handseg_bundle_common.conversion.sources import Radiographs, default_images, entries_of
from handseg_bundle_common.errors import HandsegInputError

# Formats of which radiographs may be too.
_LIKE_RADIOGRAPHS = (NIFTI, DICOM_SEG)
# So many kinds of losses are listed, more are counted.
_SHOWN = 12


@dataclass
class Conversion:
    """What a conversion has done.

    Attributes:
        target: the file or folder.
        done: how many images were written.
        kept: how many were there already.
        left_out: how many files of the source hold a radiograph in place of masks.
        lost: what did not come along, as sentences without a full stop, and in how many images.
    """

    target: Path
    done: int = 0
    kept: int = 0
    left_out: int = 0
    lost: Mapping[str, int] = field(default_factory=Counter)

    @property
    def text(self) -> str:
        """What to tell the user."""
        kept = f", {self.kept} there already" if self.kept else ""
        lines = [f"{self.done} converted{kept}: {self.target}"]
        shown = list(self.lost.items())[:_SHOWN]
        lines += [f"  {sentence} ({count} image{'s' if count > 1 else ''})" for sentence, count in shown]
        if len(self.lost) > _SHOWN:
            lines.append(f"  and {len(self.lost) - _SHOWN} more")
        if len(lines) > 1:
            lines.insert(1, "not kept:")
        elif self.done:
            lines.append("nothing of these is lost." if self.kept else "nothing is lost.")
        if self.left_out:
            lines.insert(1, f"left out, being radiographs: {self.left_out} file{'s' if self.left_out > 1 else ''}")
        return "\n".join(lines)


def convert(
    source: str | PathLike[str],
    target: str | PathLike[str],
    *,
    source_format: str | None = None,
    target_format: str | None = None,
    images: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Convert masks from one format to another.

    Files of a folder that are there already are passed over, so that an interrupted conversion continues.

    Args:
        source: file or folder with masks.
        target: file with the suffix of its format, or folder.
        source_format: one of `FORMATS`, in place of looking at the source.
        target_format: one of `FORMATS`, in place of the target's suffix.
        images: folder of the radiographs, for sizes, whole names and DICOM segmentations.
        overwrite: replace what is there.

    Returns:
        How many images were converted and what did not come along.

    Raises:
        HandsegInputError: source, target, a format or the masks cannot be used.
    """
    begin = check_formats([source_format])[0] if source_format is not None else format_of(source)
    end = check_formats([target_format])[0] if target_format is not None else format_of_name(target)
    result = Conversion(Path(target))
    if Path(source).resolve() == result.target.resolve():
        raise HandsegInputError(target, "is the source too", "name another place")
    others = [name for name in FORMATS if has_suffix(target, name)]
    if others and end not in others:
        raise HandsegInputError(target, f"ends as a file of {others[0]}, not of {end}", "change its suffix or --to")
    radiographs = Radiographs(images if images is not None else default_images(source, begin))
    entries = entries_of(source, begin, radiographs)
    if len(entries) > 1 and has_suffix(target, end) and FORMATS[end].read is not None:
        raise HandsegInputError(source, f"holds {len(entries)} images", f"name a folder and --to {end}")
    if begin in _LIKE_RADIOGRAPHS and Path(source).is_dir():
        result.left_out = len(candidates(source, begin)) - len(entries)
    lost: Counter[str] = Counter()
    with open_sink(result.target, end, overwrite=overwrite) as sink:
        sink.check(entry.name for entry in entries)
        for entry in tqdm(entries, "converting", unit="image", disable=None):
            if sink.has(entry.name):
                result.kept += 1
                continue
            image = entry.read()
            radiograph = radiographs.find(image.name) if end == DICOM_SEG else None
            lost.update([*image.notes, *sink.write(image, radiograph)])
            result.done += 1
    result.lost = lost
    return result
