"""One actor of a cluster: it holds a bundle and turns batches of radiographs into rows."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock

import pyarrow as pa
import torch

from handseg_bundle_common.conversion.kinds import FORMATS
from handseg_bundle_common.conversion.sinks import FileSink, open_sink
from handseg_bundle_common.datasets.predictions import DISAGREEMENT, MASKS
from handseg_bundle_common.drawing import overlay_name
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.probabilities import probabilities_path
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.formats.rle import decode_packed
from handseg_bundle_common.inference.cluster.items import Item
from handseg_bundle_common.inference.cluster.places import Place, file_system, reason_of
from handseg_bundle_common.inference.cluster.rows import SCHEMA, Row, failed_row, row_of
from handseg_bundle_common.inference.cluster.shipping import Parcel, plain_segmenter
from handseg_bundle_common.inference.cohort import Cohort, record_path
from handseg_bundle_common.inference.pictures import overlay_path
from handseg_bundle_common.inference.records import ImageRecord, read_record
from handseg_bundle_common.inference.segmenter import Failure, Segmenter, SegmenterSettings
from handseg_bundle_common.inference.sources import Source
from handseg_bundle_common.measurements.hand import measure_hand
from handseg_bundle_common.measurements.results import HandRows, hand_rows
from handseg_bundle_common.measurements.scale import Scale, read_spacing

# What travels beside the rows: the files of the images, and why the whole run cannot go on.
CONTENTS, FATAL = "contents", "fatal"
BATCH = SCHEMA.append(pa.field(CONTENTS, pa.list_(pa.binary()))).append(pa.field(FATAL, pa.string()))

_ATTEMPTS, _PAUSE = 3, 1.0
_FETCHERS = 8


@dataclass(frozen=True)
class Task:
    """What every actor does.

    Attributes:
        settings: bundle and options.
        parcel: the bundle for machines that do not have it.
        fingerprint: digest of the bundle and the code, which must be the same everywhere.
        formats: what is written of the masks.
        probabilities: whether those of every pixel are kept.
        outputs: kinds of files that come of this.
        threads: cores that the actor uses.
        place: where the actor writes the files of images; None sends them with the rows.
    """

    settings: SegmenterSettings
    parcel: Parcel
    fingerprint: str
    formats: tuple[str, ...]
    probabilities: bool
    outputs: tuple[str, ...]
    threads: int
    place: Place | None


class Actor:
    """Turns batches of radiographs into rows; two batches may be under way, of which one is in the network.

    Args:
        task: what to do.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._network = Lock()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return a row of `BATCH` for every radiograph of a batch.

        What cannot be read is a row with the problem. If anything else goes wrong, a batch of several gives no rows,
        so that each can be tried alone, and one alone is a row with the problem.

        Args:
            batch: rows with the fields of `Item`, and `key`.
        """
        entries = batch.to_pylist()
        keys = [str(entry.pop("key")) for entry in entries]
        items = [Item(**entry) for entry in entries]
        try:
            rows = self._rows(items, keys)
        except HandsegInputError as error:
            rows = [{FATAL: str(error)}]
        except Exception as error:  # a bug or a lack of memory that one odd picture brings about
            rows = []
            if len(items) == 1:
                problem = f"could not be segmented ({reason_of(error)})"
                sentence = f"{items[0].file}: {problem}; look at it, or leave it out."
                rows = [failed_row(Failure(items[0].name, items[0].file, sentence), keys[0])]
        return pa.Table.from_pylist(rows, BATCH)

    @cached_property
    def _segmenter(self) -> Segmenter:
        """The bundle, checked to be the one that the run has been started with."""
        with self._task.parcel.unpacked(self._task.settings) as settings:
            if plain_segmenter(settings).fingerprint != self._task.fingerprint:
                problem = "its handseg, its bundle or its weights are not those that the run was started with"
                raise HandsegInputError("a machine of the cluster", problem, "install the same version everywhere")
            segmenter = Segmenter(settings)
            # Both are read from the bundle's files now; later they may be gone.
            _ = segmenter.predictor, segmenter.fingerprint
        return segmenter

    def _rows(self, items: Sequence[Item], keys: Sequence[str]) -> list[Row]:
        with tempfile.TemporaryDirectory(prefix="handseg-") as name:
            radiographs, results = Path(name, "radiographs"), Path(name, "results")
            with ThreadPoolExecutor(_FETCHERS) as pool:
                folders = [radiographs / str(number) for number in range(len(items))]
                fetched = list(pool.map(_fetch, items, folders))
            sources = [found for found in fetched if isinstance(found, Source)]
            failures = self._segment(sources, results)
            rows = []
            for item, key, found in zip(items, keys, fetched, strict=True):
                failure = found if isinstance(found, Failure) else failures.get(item.name)
                if failure is None and isinstance(found, Source):
                    rows.append(self._row(item, key, found, results))
                elif failure is not None:
                    # The copy of a fetched file means nothing to anybody.
                    copy = str(found.path) if isinstance(found, Source) else item.file
                    sentence = failure.sentence.replace(copy, item.file)
                    rows.append(failed_row(Failure(item.name, item.file, sentence), key))
        return rows

    def _segment(self, sources: Sequence[Source], results: Path) -> dict[str, Failure]:
        """Segment radiographs into a folder and return why some could not be, by name."""
        if not sources:
            return {}
        with self._network:
            torch.set_num_threads(self._task.threads)
            cohort = Cohort(results, self._segmenter, self._task.formats, probabilities=self._task.probabilities)
            return {step.source.name: step.failure for step in cohort.run(sources) if step.failure is not None}

    def _row(self, item: Item, key: str, source: Source, results: Path) -> Row:
        record = read_record(record_path(results, item.name))
        assert record is not None  # noqa: S101 - for the type checker: it has just been written
        spacing = read_spacing(source.path)
        contents = {path.relative_to(results).as_posix(): path.read_bytes() for path in self._files(item.name, results)}
        row = row_of(
            record,
            _measured(record, source.path, spacing),
            spacing,
            file=item.file,
            key=key,
            outputs=self._task.outputs,
            files=list(contents),
        )
        if self._task.place is None:
            return {**row, CONTENTS: list(contents.values())}
        for file, content in contents.items():
            self._task.place.put(file, content)
        return row

    def _files(self, name: str, results: Path) -> list[Path]:
        """Return the files that stand in the results for an image."""
        paths = [overlay_path(results, name), results / DISAGREEMENT / overlay_name(name)]
        paths.append(probabilities_path(results, name))
        sinks = [
            open_sink(results / MASKS / kind, kind, overwrite=True) for kind in files_a_picture(self._task.formats)
        ]
        paths += [sink.path(name) for sink in sinks if isinstance(sink, FileSink)]
        there = [path for path in paths if path.exists()]
        return [file for path in there for file in ([path] if path.is_file() else sorted(path.glob("*")))]


def files_a_picture(formats: Sequence[str]) -> list[str]:
    """Return those of formats of which every image has files of its own."""
    return [name for name in formats if name in FORMATS and FORMATS[name].read is not None]


def _fetch(item: Item, folder: Path) -> Source | Failure:
    """Return a radiograph on this machine, a copy if it lies behind an address, or why there is none."""
    if not item.base:
        return Source(Path(item.path), item.name)
    folder.mkdir(parents=True)
    # The name stays, by whose suffix formats are known.
    copy = folder / PurePosixPath(item.path).name
    files, _ = file_system(item.base)
    reason = ""
    for attempt in range(_ATTEMPTS):
        try:
            files.get_file(item.path, str(copy))
            return Source(copy, item.name)
        except FileNotFoundError:
            return Failure(item.name, item.file, f"{item.file}: is not there or not a file; check the path.")
        except Exception as error:  # every file system has its own exceptions
            reason = reason_of(error)
            time.sleep(_PAUSE * attempt)
    return Failure(item.name, item.file, f"{item.file}: cannot be read ({reason}); repeat the command later.")


def _measured(record: ImageRecord, path: Path, spacing_mm: float | None) -> HandRows:
    """Return the measures of an image, as `handseg measure` tells them."""
    packed = decode_packed(record.codes, record.height, record.width, record.name)
    measures = measure_hand(packed, read_radiograph(path))
    return hand_rows(record.name, measures, Scale(spacing_mm), record.laterality)
