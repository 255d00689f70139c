"""Analysed images as files, so that an interrupted analysis goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import sys
import tokenize
import zipfile
import zlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from handseg_bundle_common import anatomy, masks, metrics
from handseg_bundle_common.analysis import case as case_module
from handseg_bundle_common.analysis import detection, faults, sources
from handseg_bundle_common.analysis.case import Case
from handseg_bundle_common.analysis.faults import Fault, FaultKind
from handseg_bundle_common.analysis.sources import LabelledImage
from handseg_bundle_common.datasets import moments, wrist
from handseg_bundle_common.digests import code_digest
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.formats import boostcamp, rle, runs
from handseg_bundle_common.metrics import CaseScores, Confusion

# Modules that decide what the scores are, beside all of `metrics`; cases that others have made are analysed again.
_MAKERS = (anatomy, boostcamp, case_module, detection, faults, masks, moments, rle, runs, sources, wrist)
_COLUMNS = tuple(field.name for field in fields(CaseScores))
# What zipfile, zlib and numpy raise over damaged archives, and JSON over foreign ones.
_DAMAGES = (
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def case_key(image: LabelledImage) -> str:
    """Return a digest of all that an analysed image depends on: its prediction, its label, and the code.

    Raises:
        OSError: the label cannot be read.
    """
    digest = hashlib.sha256(_code().encode())
    digest.update(json.dumps([image.name, image.patient, image.size, image.codes]).encode())
    digest.update(image.label.read_bytes())
    return digest.hexdigest()


def _code() -> str:
    """Return a digest of the code that makes scores and faults."""
    return code_digest(metrics, *_MAKERS, sys.modules[__name__])


def write_case(path: Path, key: str, case: Case) -> None:
    """Write an analysed image as `.npz`.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    about = {name: getattr(case, name) for name in ("image_name", "patient", "height", "width", "wrist_angle")}
    about |= {"key": key, "faults": [asdict(fault) for fault in case.faults]}
    with write_atomically(path) as temporary:
        np.savez_compressed(
            temporary,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            scores=np.stack([getattr(case.scores, name) for name in _COLUMNS]),
            overlap_dice=case.overlap_dice,
            pair_dice=case.pair_dice,
            counts=case.confusion.counts,
            pixels=case.confusion.pixels,
        )


def read_case(path: Path, key: str) -> Case | None:
    """Return an analysed image, or None if the file is missing, damaged, foreign, or was made of something else."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            about: dict[str, Any] = json.loads(archive["about"].tobytes())
            if about.pop("key") != key:
                return None
            return Case(
                **about | {"faults": tuple(_fault(values) for values in about["faults"])},
                scores=CaseScores(**dict(zip(_COLUMNS, archive["scores"], strict=True))),
                overlap_dice=archive["overlap_dice"],
                pair_dice=archive["pair_dice"],
                confusion=Confusion(archive["counts"], archive["pixels"]),
            )
    except _DAMAGES:
        return None


def _fault(values: dict[str, Any]) -> Fault:
    return Fault(**values | {"kind": FaultKind(values["kind"]), "shift_px": tuple(values["shift_px"])})
