"""Predictions of an evaluation as the competition's CSV."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.engine.distributed import is_main_process
from handseg_bundle_common.formats.rle import SubmissionWriter, encode_masks


class SubmissionFile:
    """Write the masks of every evaluated image to a submission CSV, which appears when the evaluation is done.

    Needs batches of decollated items with `patient` and `image_name`, as the bundles' evaluators have them. Of several
    processes the first one writes the images of all.

    Args:
        path: file to write.
        patient_in_names: name images `patient/image_name` in place of `image_name`; None does so if two of the
            evaluated images share a name.
    """

    def __init__(self, path: str, *, patient_in_names: bool | None = None) -> None:
        self.path = Path(path)
        self.patient_in_names = patient_in_names
        self._codes: dict[str, list[str]] = {}
        self._with_patient = False

    def attach(self, evaluator: Engine) -> None:
        """Encode after the iterations of the evaluator, write at its end."""
        evaluator.add_event_handler(Events.STARTED, self._start)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._encode)
        evaluator.add_event_handler(Events.COMPLETED, self._write)

    def _start(self, evaluator: Engine) -> None:
        names = Counter(item["image_name"] for item in evaluator.state.dataloader.dataset.data)
        shared = max(names.values()) > 1
        self._with_patient = shared if self.patient_in_names is None else self.patient_in_names
        self._codes.clear()

    def _encode(self, evaluator: Engine) -> None:
        for item, output in zip(evaluator.state.batch, evaluator.state.output, strict=True):
            self._codes[self._name(item)] = encode_masks(torch.as_tensor(output["pred"]).bool().cpu().numpy())

    def _name(self, item: dict[str, Any]) -> str:
        return f"{item['patient']}/{item['image_name']}" if self._with_patient else str(item["image_name"])

    def _write(self) -> None:
        codes = _gathered(self._codes)
        if not is_main_process():
            return
        with SubmissionWriter(self.path) as submission:
            for image_name in sorted(codes):
                submission.write_codes(image_name, codes[image_name])


def _gathered(codes: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the codes of all processes to the first one."""
    if idist.get_world_size() == 1:
        return codes
    parts: list[Any] | None = [None] * idist.get_world_size() if is_main_process() else None
    torch.distributed.gather_object(codes, parts)
    return {name: values for part in parts or [] for name, values in part.items()}
