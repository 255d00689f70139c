"""Many radiographs through one bundle on all machines of a Ray cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from handseg_bundle_common.conversion.kinds import DICOM_SEG
from handseg_bundle_common.datasets.predictions import DISAGREEMENT, MASKS, MEASURED, OVERLAYS
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.probabilities import PROBABILITIES
from handseg_bundle_common.inference.cluster.actor import CONTENTS, Task, files_a_picture
from handseg_bundle_common.inference.cluster.conclude import conclude, forget_tables
from handseg_bundle_common.inference.cluster.items import Item, find_items, without_bad_names
from handseg_bundle_common.inference.cluster.machines import choose_actors, connected, import_ray
from handseg_bundle_common.inference.cluster.parts import RESULTS, Entry, PartsWriter, keep, read_manifest
from handseg_bundle_common.inference.cluster.places import Place
from handseg_bundle_common.inference.cluster.rows import SCHEMA, failed_row
from handseg_bundle_common.inference.cluster.shipping import pack, plain_segmenter
from handseg_bundle_common.inference.cluster.stream import segmented
from handseg_bundle_common.inference.cohort import RECORDS
from handseg_bundle_common.inference.mask_files import DEFAULT_FORMATS, OVERLAY, check_outputs
from handseg_bundle_common.inference.segmenter import Failure, SegmenterSettings
from handseg_bundle_common.inference.sources import Source
from handseg_bundle_common.weights import find_bundle


@dataclass(frozen=True)
class PredictedOnCluster:
    """What a prediction on a cluster has done.

    Attributes:
        segmented: names of the radiographs in the order of the tables.
        failures: those that could not be segmented.
        kept: how many of the first an earlier run had done.
    """

    segmented: tuple[str, ...]
    failures: tuple[Failure, ...]
    kept: int


def predict_on_cluster(
    images: Sequence[str],
    settings: SegmenterSettings,
    output: str,
    *,
    keep_folders: bool = False,
    probabilities: bool = False,
    formats: Sequence[str] = DEFAULT_FORMATS,
    anew: bool = False,
    workers: int | None = None,
) -> PredictedOnCluster:
    """Segment radiographs with a bundle on a Ray cluster, at their native sizes.

    The rows of the images come together in `<output>/results/part-*.parquet`, while the run goes on, with the masks
    as run lengths, measures, confidence and what is wrong. When all are done, the tables of `inference.predict` are
    written from them, with the same contents. Pictures and other files of an image are written with its row. Repeat
    the call after an interruption: images whose row is there are passed over, unless they, the bundle, its weights, a
    setting or the code has changed. Rows of other images are removed. A radiograph that cannot be segmented stops
    nothing; it is a row with the problem, and is tried again by the next call.

    Results in a folder of this machine are written by this process. Behind an address the machines write them, as they
    read radiographs by themselves.

    Args:
        images: paths that every machine can read, and addresses such as `s3://bucket/hands`, of files or folders.
        settings: bundle and options; the device is "auto", "cpu" or "cuda".
        output: folder of the results, a path of this machine or an address.
        keep_folders: name results by the radiographs' relative paths instead of their file names.
        probabilities: keep those of every pixel at the working size too.
        formats: what is written of the masks, see `ResultsFolder`.
        anew: do again what an earlier run has done.
        workers: number of actors; by default one a GPU, or one a machine if there is none.

    Raises:
        HandsegInputError: Ray is not installed or not to be reached; a place, the bundle or an option cannot be used.
    """
    ray = import_ray()
    place = Place(output)
    items, failures = without_bad_names(find_items(images, keep_folders=keep_folders, exclude=_own_folders(place)))
    wanted = _check_formats(formats, items)
    settings = replace(settings, bundle=find_bundle(settings.bundle), weights=_absolute(settings.weights))
    plain = plain_segmenter(settings)
    fingerprint = plain.fingerprint
    outputs = (*files_a_picture(wanted), *[OVERLAY] * (OVERLAY in wanted), *[PROBABILITIES] * probabilities)
    with connected(ray) as machines:
        actors = choose_actors(machines, settings.device, workers)
        settings = replace(settings, device="cuda" if actors.gpus else "cpu")
        keys = {item.name: _key(fingerprint, settings, item) for item in items}
        forget_tables(place, wanted)
        kept = _still_good(place, keys, outputs, anew=anew)
        todo = [item for item in items if item.name not in kept]
        sent_to = None if place.folder is not None else place
        task = Task(
            settings, pack(settings, plain), fingerprint, wanted, probabilities, outputs, actors.threads, sent_to
        )
        with PartsWriter(place) as parts, tqdm(total=len(items), desc="segmenting", unit="image", disable=None) as bar:
            bar.update(len(kept))
            parts.add(pa.Table.from_pylist([failed_row(failure, "") for failure in failures], SCHEMA))
            for table in segmented(ray, task, todo, keys, actors):
                _add(table, place, parts)
                bar.update(table.num_rows)
    names = [*(item.name for item in items), *(failure.name for failure in failures)]
    failed = conclude(place, names, wanted, plain.predictor.origin)
    bad = {failure.name for failure in failed}
    return PredictedOnCluster(tuple(name for name in names if name not in bad), tuple(failed), len(kept))


def _own_folders(place: Place) -> list[Path]:
    """Return folders of the results, which hold no radiographs."""
    names = (OVERLAYS, DISAGREEMENT, MASKS, MEASURED, RECORDS, RESULTS)
    return [] if place.folder is None else [place.folder / name for name in names]


def _check_formats(formats: Sequence[str], items: Sequence[Item]) -> tuple[str, ...]:
    """Return the formats as `check_outputs` does, which cannot look into files behind addresses."""
    here = [Source(Path(item.path), item.name) for item in items if not item.base]
    wanted = check_outputs(formats, here)
    check_outputs(
        [name for name in wanted if name != DICOM_SEG] or [OVERLAY], [Source(Path(i.path), i.name) for i in items]
    )
    other = next((item for item in items if item.base and not item.path.lower().endswith(".dcm")), None)
    if DICOM_SEG in wanted and other is not None:
        problem = "is not named as a DICOM file, to which a DICOM segmentation must refer"
        raise HandsegInputError(other.file, problem, f"leave {DICOM_SEG} out of --formats")
    return wanted


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _key(fingerprint: str, settings: SegmenterSettings, item: Item) -> str:
    """Return a digest of all that the row of an image depends on."""
    on = settings.device, settings.precision, settings.compile_network, settings.runtime
    return hashlib.sha256(json.dumps([fingerprint, *on, item.name, item.file, item.state]).encode()).hexdigest()


def _still_good(place: Place, keys: Mapping[str, str], outputs: Sequence[str], *, anew: bool) -> dict[str, Entry]:
    """Return the rows of earlier runs that are of use, and remove all others with the files that belong to them."""

    def is_good(entry: Entry) -> bool:
        is_same = not anew and not entry.is_failure and keys.get(entry.name) == entry.key
        if not is_same or not set(outputs) <= set(entry.outputs):
            return False
        # To ask another machine for each of many thousand files would take too long.
        return place.folder is None or all(Path(place.folder, file).exists() for file in entry.files)

    entries = read_manifest(place)
    kept = keep(place, entries, is_good)
    for entry in entries:
        if entry.name not in kept:
            for file in entry.files:
                place.remove(file)
    return kept


def _add(table: pa.Table, place: Place, parts: PartsWriter) -> None:
    """Take up rows of `BATCH`: the files of the images first, for which the rows vouch."""
    for files, contents in zip(table.column("files").to_pylist(), table.column(CONTENTS).to_pylist(), strict=True):
        for file, content in zip(files or (), contents or (), strict=place.folder is not None):
            place.put(file, content)
    parts.add(table.select(SCHEMA.names))
