"""Many radiographs through one bundle: what is done is kept, what is bad is listed, and nothing is held in memory."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handseg_bundle_common.conversion.kinds import FORMATS, RLE
from handseg_bundle_common.conversion.sinks import FileSink, open_sink
from handseg_bundle_common.datasets.predictions import DISAGREEMENT, MASKS, OVERLAYS
from handseg_bundle_common.drawing import overlay_name
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import make_folder, write_csv
from handseg_bundle_common.formats.probabilities import PROBABILITIES, probabilities_path, write_probabilities
from handseg_bundle_common.formats.rle import decode_packed
from handseg_bundle_common.inference.loading import Loaded
from handseg_bundle_common.inference.mask_files import OVERLAY, MaskFiles
from handseg_bundle_common.inference.pictures import draw, overlay_path
from handseg_bundle_common.inference.records import read_record, write_record
from handseg_bundle_common.inference.results import algorithm_of, forget_tables, write_origin
from handseg_bundle_common.inference.segmenter import Failure, Segmented, Segmenter, failure_of
from handseg_bundle_common.inference.sources import Source
from handseg_bundle_common.inference.stages import overlapped
from handseg_bundle_common.inference.tables import Tables
from handseg_bundle_common.workers import number_of_workers

# What was told of each image that is done, and the images that could not be done.
RECORDS, FAILURES = "segmented", "failures.csv"

_MOST_THREADS = 8
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Step:
    """A radiograph on its way through the stages.

    Attributes:
        source: the radiograph.
        key: digest of what its results depend on.
        is_kept: whether an earlier run has done it.
        failure: why it cannot be segmented.
        loaded: what was read of it.
        made: logits and votes.
    """

    source: Source
    key: str = ""
    is_kept: bool = False
    failure: Failure | None = None
    loaded: Loaded | None = None
    made: tuple[Any, list[Any]] | None = None


class Cohort:
    """The results of many radiographs in a folder, of which every image is complete or absent.

    Args:
        output: folder of the results.
        segmenter: what segments.
        formats: what is written, see `ResultsFolder`.
        probabilities: whether those of every pixel are kept.
        anew: do again what an earlier run has done.
    """

    def __init__(
        self,
        output: Path,
        segmenter: Segmenter,
        formats: Sequence[str],
        *,
        probabilities: bool = False,
        anew: bool = False,
    ) -> None:
        self.output, self.segmenter, self.formats = output, segmenter, formats
        self._anew = anew
        self._algorithm = algorithm_of(segmenter.predictor.origin)
        known = [name for name in formats if name in FORMATS and name != RLE]
        self._of_all = [name for name in known if FORMATS[name].read is None]
        self._of_one = [name for name in known if FORMATS[name].read is not None]
        overlays = [OVERLAY] * (OVERLAY in formats)
        self._outputs = [*self._of_one, *overlays, *([PROBABILITIES] if probabilities else [])]

    def run(self, sources: Sequence[Source]) -> Iterator[Step]:
        """Segment radiographs and yield each of them when it is done or has failed, in order.

        Raises:
            HandsegInputError: a result cannot be written.
        """
        make_folder(self.output / RECORDS)
        if OVERLAY in self._outputs:
            make_folder(self.output / OVERLAYS)
        forget_tables(self.output, self.formats)
        self._forget_others(sources)
        is_gpu = self.segmenter.predictor.device.type == "cuda"
        # A GPU waits for files to be decoded; on a CPU the network itself uses all cores.
        cores = number_of_workers(None, len(sources), 1)
        threads = min(max(1, cores // 2), _MOST_THREADS) if is_gpu else 1
        with MaskFiles(self.output, self._of_one, self._algorithm) as masks:
            yield from overlapped(sources, self._read, self._make, lambda step: self._write(step, masks), threads)

    def conclude(self, sources: Sequence[Source], failures: Sequence[Failure]) -> None:
        """Write the tables, and the files of all images, from what was kept of each.

        Raises:
            HandsegInputError: a file cannot be written.
        """
        with ExitStack() as stack:
            tables = stack.enter_context(Tables(self.output, has_submission=RLE in self.formats))
            masks = stack.enter_context(MaskFiles(self.output, self._of_all, self._algorithm))
            for source in sources:
                record = read_record(record_path(self.output, source.name))
                if record is None:
                    continue
                tables.write(record)
                if self._of_all:
                    packed = decode_packed(record.codes, record.height, record.width, record.name)
                    masks.write(record.name, source.path, packed, record.laterality)
        write_failures(self.output / FAILURES, failures)
        write_origin(self.output, self.segmenter.predictor.origin)

    def _read(self, source: Source) -> Step:
        try:
            step = Step(source, self._key(source))
            if not self._anew and self._is_done(step):
                return replace(step, is_kept=True)
            return replace(step, loaded=self.segmenter.predictor.load(source.path))
        except HandsegInputError as error:
            return Step(source, failure=failure_of(source, error))

    def _make(self, step: Step) -> Step:
        if step.loaded is None:
            return step
        try:
            return replace(step, made=self.segmenter.predictor.infer(step.loaded))
        except HandsegInputError as error:
            return Step(step.source, failure=failure_of(step.source, error))

    def _write(self, step: Step, masks: MaskFiles) -> Step:
        source = step.source
        if step.is_kept:
            return step
        self._forget(source)
        if step.loaded is not None and step.made is not None:
            segmented = self.segmenter.finish(source, step.loaded, *step.made)
            try:
                self._write_files(segmented, masks)
            except HandsegInputError as error:
                if error.source != str(source.path):
                    raise  # a folder that cannot be written fails every image
                return Step(source, failure=failure_of(source, error))
            write_record(record_path(self.output, source.name), step.key, segmented.record, self._outputs)
        return replace(step, loaded=None, made=None)

    def _write_files(self, segmented: Segmented, masks: MaskFiles) -> None:
        name, prediction, found = segmented.source.name, segmented.prediction, segmented.found
        masks.write(name, segmented.source.path, prediction.masks, found.laterality)
        if OVERLAY in self._outputs:
            picture = segmented.loaded.picture
            draw(self.output, name, picture, prediction.masks, notes=found.notes, votes=prediction.votes)
        if PROBABILITIES in self._outputs:
            values = self.segmenter.predictor.probabilities(prediction)
            write_probabilities(probabilities_path(self.output, name), values, segmented.loaded.size)

    def _key(self, source: Source) -> str:
        """Return a digest of the bundle, of the radiograph's name and of its file."""
        digest = hashlib.sha256(self.segmenter.fingerprint.encode())
        digest.update(repr(source.name).encode())
        try:
            with source.path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise HandsegInputError(source.path, f"cannot be read ({error.strerror})", "check the path") from error
        return digest.hexdigest()

    def _is_done(self, step: Step) -> bool:
        """Tell whether an earlier run has left all that this one would write."""
        if read_record(record_path(self.output, step.source.name), step.key, self._outputs) is None:
            return False
        name = step.source.name
        files = [overlay_path(self.output, name)] * (OVERLAY in self._outputs)
        files += [probabilities_path(self.output, name)] * (PROBABILITIES in self._outputs)
        sinks = [open_sink(self.output / MASKS / kind, kind, overwrite=True) for kind in self._of_one]
        files += [sink.path(name) for sink in sinks if isinstance(sink, FileSink)]
        return all(file.exists() for file in files)

    def _drawn(self, source: Source) -> tuple[Path, ...]:
        """Return the files of an image that a run need not replace."""
        disagreement = self.output / DISAGREEMENT / overlay_name(source.name)
        return probabilities_path(self.output, source.name), disagreement

    def _forget(self, source: Source) -> None:
        """Remove what would be taken for the results of an image; its record first, which vouches for the others."""
        record = record_path(self.output, source.name)
        for path in (record, overlay_path(self.output, source.name), *self._drawn(source)):
            path.unlink(missing_ok=True)

    def _forget_others(self, sources: Sequence[Source]) -> None:
        """Remove probabilities and disagreements of images that this run does not segment."""
        own = {path for source in sources for path in self._drawn(source)}
        there = [*Path(self.output, PROBABILITIES).rglob("*.npz"), *Path(self.output, DISAGREEMENT).rglob("*.png")]
        for path in there:
            if path not in own or (path.suffix == ".npz" and PROBABILITIES not in self._outputs):
                path.unlink(missing_ok=True)


def record_path(output: Path, name: str) -> Path:
    """Return where a folder of results keeps what was told of an image."""
    return output / RECORDS / f"{overlay_name(name)}.case"


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """Write which images failed and why, or remove the list of an earlier run if none did.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    if not failures:
        path.unlink(missing_ok=True)
        return
    with write_csv(path) as file:
        rows = csv.writer(file)
        rows.writerow(("image_name", "file", "problem"))
        rows.writerows((failure.name, failure.file, failure.sentence) for failure in failures)
