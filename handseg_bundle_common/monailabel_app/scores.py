"""Which radiograph a person should look at next: the one on which the networks agree least."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.monailabel_app.models import Model
from handseg_bundle_common.monailabel_app.names import check_name, path_below
from handseg_bundle_common.monailabel_app.segment import disagreement, predict
from handseg_bundle_common.monailabel_app.store import LabelStore

logger = logging.getLogger(__name__)

_SCORES = "scores"


@dataclass(frozen=True)
class Scores:
    """Scores of radiographs, each kept in a file of its own, so that several processes can add to them.

    Attributes:
        store: the radiographs.
        judge: the model that scores; another one, or other weights of it, begins anew.
    """

    store: LabelStore
    judge: Model

    def known(self, image_id: str) -> float | None:
        """Return the score of a radiograph, None where it has none yet that is of this file and these weights."""
        try:
            entry = json.loads(self._path(image_id).read_bytes())
            is_valid = entry["of"] == self._key(image_id)
            return float(entry["score"]) if is_valid else None
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def add(self, images: Iterable[str], most: int | None = None) -> int:
        """Score those of some radiographs that have no score yet.

        Args:
            images: their ids.
            most: how many to score now; all if None.

        Returns:
            How many were scored.
        """
        missing = [image for image in images if self.known(image) is None][:most]
        for image in missing:
            # A picture that cannot be segmented is worth a look, and must not keep the others from their turn.
            score = 1.0
            try:
                score = disagreement(*predict(self.judge, self.store.path_of(image)))
            except HandsegInputError as error:
                logger.warning("%s", error)
            with write_atomically(self._path(image)) as temporary:
                temporary.write_text(json.dumps({"of": self._key(image), "score": score}) + "\n", encoding="utf-8")
        return len(missing)

    def next(self, most: int | None = None, served: str = "disagreement") -> dict[str, Any] | None:
        """Return the radiograph without a label that has the highest score, those not yet handed out first.

        Args:
            most: how many radiographs to score now, if some have no score yet.
            served: name under which the information of an image notes when it was handed out.

        Returns:
            `id`, `score`, and of how many radiographs without a label how many are scored; None without any.
        """
        images = self.store.get_unlabeled_images()
        self.add(images, most)
        scored = {image: score for image in images if (score := self.known(image)) is not None}
        if not scored:
            return None

        def rank(image: str) -> tuple[int, float]:
            return _handed_out(self.store.get_image_info(image), served), -scored[image]

        best = min(scored, key=rank)
        return {"id": best, "score": scored[best], "scored": len(scored), "unlabeled": len(images)}

    def _path(self, image_id: str) -> Path:
        return path_below(self.store.labels / _SCORES, f"{check_name(image_id)}.json")

    def _key(self, image_id: str) -> list[Any]:
        state = self.store.path_of(image_id).stat()
        return [self.judge.version, state.st_mtime_ns, state.st_size]


def _handed_out(info: Mapping[str, Any], served: str) -> int:
    """Return when an image was handed out, 0 if never or if a client has written something else there."""
    times = info.get("strategy")
    noted = times.get(served) if isinstance(times, Mapping) else None
    moment = noted.get("ts") if isinstance(noted, Mapping) else None
    return int(moment) if isinstance(moment, (int, float)) else 0
