"""The tables of a run on a cluster, those of a run on one machine, from the rows in Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from handseg_bundle_common.conversion.kinds import FORMATS, RLE
from handseg_bundle_common.conversion.sinks import open_sink
from handseg_bundle_common.datasets.predictions import MASKS, SUBMISSION
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.rle import decode_packed
from handseg_bundle_common.inference.cluster.parts import PartsReader
from handseg_bundle_common.inference.cluster.places import Place
from handseg_bundle_common.inference.cluster.rows import Told, told_by
from handseg_bundle_common.inference.cohort import FAILURES, write_failures
from handseg_bundle_common.inference.results import ORIGIN, write_origin
from handseg_bundle_common.inference.segmenter import Failure
from handseg_bundle_common.inference.tables import Tables


def forget_tables(place: Place, formats: Sequence[str]) -> None:
    """Remove tables that a run might not replace, and that would then be taken for its own."""
    for name in (ORIGIN, FAILURES, *([] if RLE in formats else [SUBMISSION])):
        place.remove(name)


def conclude(place: Place, names: Sequence[str], formats: Sequence[str], origin: Mapping[str, Any]) -> list[Failure]:
    """Write the tables and the files of all images, and return which images failed.

    Args:
        place: folder of the results.
        names: images in the order of the tables.
        formats: what is written of the masks.
        origin: what the predictions come from.

    Raises:
        HandsegInputError: a file cannot be written.
    """
    of_all = [name for name in formats if name in FORMATS and name != RLE and FORMATS[name].read is None]
    failures: list[Failure] = []
    with place.staged() as folder:
        with ExitStack() as stack:
            tables = stack.enter_context(Tables(folder, has_submission=RLE in formats))
            targets = [folder / MASKS / f"{name}{FORMATS[name].suffixes[0]}" for name in of_all]
            sinks = [
                stack.enter_context(open_sink(target, name, overwrite=True))
                for target, name in zip(targets, of_all, strict=True)
            ]
            for told in _told(place, names):
                if isinstance(told, Failure):
                    failures.append(told)
                    continue
                tables.write(told.record)
                for sink in sinks:
                    sink.write(_masks(told))
        write_failures(folder / FAILURES, failures)
        write_origin(folder, origin)
    return failures


def _told(place: Place, names: Sequence[str]) -> Iterator[Told | Failure]:
    rows = PartsReader(place)
    for name in names:
        yield told_by(rows[name])


def _masks(told: Told) -> MaskImage:
    record, spacing = told.record, told.spacing_mm
    packed = decode_packed(record.codes, record.height, record.width, record.name)
    return MaskImage(record.name, packed, None if spacing is None else (spacing, spacing))
