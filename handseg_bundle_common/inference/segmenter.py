"""One unit of work for any engine: a bundle that segments radiographs and tells what the tables say of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import handseg_bundle_common
from handseg_bundle_common.digests import code_digest
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference.findings import Findings
from handseg_bundle_common.inference.loading import Loaded
from handseg_bundle_common.inference.precision import AUTO
from handseg_bundle_common.inference.predictor import Prediction, Predictor, load_predictor
from handseg_bundle_common.inference.records import ImageRecord, judged
from handseg_bundle_common.inference.runtimes import TORCH
from handseg_bundle_common.inference.sources import Source


@dataclass(frozen=True)
class SegmenterSettings:
    """What `load_predictor` takes, as plain values.

    Attributes:
        bundle: the bundle's folder or name.
        device: "auto", "cpu", "cuda" or "cuda:1".
        image_size: longer side in px at which the network works; that of the training if None.
        threshold: probability above which a pixel belongs to a bone; the bundle's own if None.
        weights: file of weights in place of the bundle's own.
        precision: "auto", "float32" or "bfloat16".
        compile_network: run the network through `torch.compile`, on a GPU only.
        runtime: "torch", "onnx" or "auto".
    """

    bundle: str
    device: str = "auto"
    image_size: int | None = None
    threshold: float | None = None
    weights: str | None = None
    precision: str = AUTO
    compile_network: bool = False
    runtime: str = TORCH


@dataclass(frozen=True)
class Failure:
    """A radiograph that could not be segmented.

    Attributes:
        name: its name in the results.
        file: its path.
        sentence: what is wrong and what to do.
    """

    name: str
    file: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Segmented:
    """What is known of a radiograph when it has been segmented.

    Attributes:
        source: the radiograph.
        loaded: what was read of it.
        prediction: what the network made of it.
        record: its rows in the tables.
        found: what is told of it.
    """

    source: Source
    loaded: Loaded
    prediction: Prediction
    record: ImageRecord
    found: Findings


class Segmenter:
    """Segments radiographs with a bundle, which is loaded when it is first needed.

    It can be pickled: the copy in another process holds the settings and loads the bundle there.

    Args:
        settings: bundle and options.

    Attributes:
        settings: bundle and options.
    """

    def __init__(self, settings: SegmenterSettings) -> None:
        self.settings = settings

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings}

    @cached_property
    def predictor(self) -> Predictor:
        """The bundle, ready to segment.

        Raises:
            HandsegInputError: it cannot be used; see `load_predictor`.
        """
        return load_predictor(**asdict(self.settings))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that decides what becomes of a radiograph: code, configuration, settings and weights."""
        digest = sha256(code_digest(handseg_bundle_common).encode())
        predictor = self.predictor
        digest.update(Path(predictor.origin["bundle"], "configs", "inference.json").read_bytes())
        # Where the files lie does not matter, and an archive is unpacked somewhere else every time.
        plain = {name: value for name, value in predictor.origin.items() if name not in ("bundle", "weights")}
        plain |= {"precision": str(predictor.precision), "device": predictor.device.type}
        digest.update(json.dumps(plain, sort_keys=True, default=str).encode())
        for name, values in sorted(predictor.network.state_dict().items()):
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(np.ascontiguousarray(values.detach().cpu().float().numpy()).tobytes())
        return digest.hexdigest()

    def __call__(self, sources: Sequence[Source]) -> list[ImageRecord | Failure]:
        """Segment radiographs one after the other; what cannot be read becomes a failure and stops nothing."""
        return [self._segment(source) for source in sources]

    def _segment(self, source: Source) -> ImageRecord | Failure:
        try:
            loaded = self.predictor.load(source.path)
            return self.finish(source, loaded, *self.predictor.infer(loaded)).record
        except HandsegInputError as error:
            return failure_of(source, error)

    def finish(self, source: Source, loaded: Loaded, logits: Any, votes: list[Any]) -> Segmented:
        """Return what becomes of the logits of a radiograph: masks and rows.

        Args:
            source: the radiograph.
            loaded: what `Predictor.load` has given.
            logits: what `Predictor.infer` has given, as are the votes.
            votes: masks of the members of an ensemble.
        """
        prediction = self.predictor.restore(loaded, logits, votes)
        record, found = judged(source.name, source.path, loaded.picture, prediction.masks, prediction.votes)
        return Segmented(source, loaded, prediction, record, found)


def failure_of(source: Source, error: HandsegInputError) -> Failure:
    """Return the failure that an error means for a radiograph."""
    return Failure(source.name, str(source.path), str(error))
