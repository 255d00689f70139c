"""The verb convert."""

from __future__ import annotations

from handseg_bundle_common.cli.arguments import Job, check_switch, check_values
from handseg_bundle_common.errors import HandsegInputError


def convert(
    source: str,
    target: str,
    *,
    to: str | None = None,
    images: str | None = None,
    overwrite: bool = False,
    **options: str,
) -> Job:
    """Convert masks between nifti, seg-nrrd, polygons, png, dicom-seg, rle, coco and coco-ram, and tell what is lost.

    Formats are recognised by content and by the suffix of the target; --from FORMAT names that of the source. Repeat
    the command after an interruption: files of a folder that are there already are passed over.

    Args:
        source: file or folder with masks.
        target: file with the suffix of its format, or folder.
        to: format of the target.
        images: folder of the radiographs, for sizes, whole names and DICOM segmentations.
        overwrite: replace what is there.
        options: from, the format of the source.
    """
    begin = options.pop("from", None)  # a word of Python, which no argument can have as its name
    if options:
        raise HandsegInputError(f"--{next(iter(options))}", "is no option of convert", "see handseg convert --help")
    check_values(source=source, target=target, to=to, images=images, **{"from": begin})
    check_switch("overwrite", overwrite)

    def start() -> str:
        from handseg_bundle_common import conversion  # noqa: PLC0415

        done = conversion.convert(
            source, target, source_format=begin, target_format=to, images=images, overwrite=overwrite
        )
        return done.text

    return Job(start)
