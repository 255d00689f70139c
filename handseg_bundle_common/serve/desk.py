"""What the routes ask for: segmentations in turn, comparisons and files."""

from __future__ import annotations

import shutil
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.ensemble.agreement import member_agreement
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.serve.answers import BoneDiceAnswer, ComparisonAnswer, StudyAnswer
from handseg_bundle_common.serve.bundles import Bundles
from handseg_bundle_common.serve.downloads import FILES, make_file
from handseg_bundle_common.serve.limits import Limits
from handseg_bundle_common.serve.problems import RefusedError
from handseg_bundle_common.serve.store import StudyStore
from handseg_bundle_common.serve.study import segment
from handseg_bundle_common.serve.turnstile import Turnstile
from handseg_bundle_common.serve.uploads import Upload, receive, refused


class Desk:
    """Does what clients ask for; all methods may be called by several threads.

    Attributes:
        bundles: what can segment.
        store: the studies, which is open while the server runs.
        limits: what is allowed.

    Args:
        bundles: what can segment.
        store: where studies are kept.
        limits: what is allowed.
    """

    def __init__(self, bundles: Bundles, store: StudyStore, limits: Limits) -> None:
        self.bundles, self.store, self.limits = bundles, store, limits
        self._turnstile = Turnstile(limits.waiting)

    def segment(self, content: BinaryIO, name: str, bundle: str | None, spacing_mm: float | None) -> StudyAnswer:
        """Segment what a client sends.

        Raises:
            RefusedError: there is no such bundle, the content is no radiograph, or too many wait.
        """
        chosen = self.bundles.check(bundle)
        with self.store.new_folder() as (identity, folder):
            return self._segment(identity, folder, receive(content, name, folder), chosen, spacing_mm)

    def again(self, study: str, bundle: str | None, spacing_mm: float | None) -> StudyAnswer:
        """Segment the radiograph of a study as a study of its own.

        Raises:
            RefusedError: there is no such bundle or study, or too many wait.
        """
        chosen = self.bundles.check(bundle)
        with self.store.new_folder() as (identity, folder):
            with self.store.using(study) as found:
                path = shutil.copy(found.upload.path, folder)
                upload = Upload(Path(path), found.upload.name, found.upload.digest)
            return self._segment(identity, folder, upload, chosen, spacing_mm)

    def _segment(
        self, identity: str, folder: Path, upload: Upload, bundle: str, spacing_mm: float | None
    ) -> StudyAnswer:
        with self._turnstile.turn():
            predictor = self.bundles.predictor(bundle)
            try:
                study = segment(identity, upload, folder, bundle=bundle, predictor=predictor, spacing_mm=spacing_mm)
            except HandsegInputError as error:
                raise refused(upload, error) from error
        self.store.add(study)
        return study.answer

    def compare(self, study: str, other: str) -> ComparisonAnswer:
        """Return the Dice of every bone between two studies.

        Raises:
            RefusedError: one is not there, or they are of different radiographs.
        """
        masks, digests = [], set()
        for identity in (study, other):
            with self.store.using(identity) as found:
                masks.append(found.masks())
                digests.add(found.upload.digest)
        if len(digests) > 1:
            why = "are of different radiographs"
            raise RefusedError(HTTPStatus.CONFLICT, "the studies", why, "compare studies of one radiograph")
        scores = member_agreement(masks).round(4).tolist()
        bones = [BoneDiceAnswer(bone=bone, dice=score) for bone, score in zip(BONE_NAMES, scores, strict=True)]
        return ComparisonAnswer(bones=bones, mean_dice=round(sum(scores) / len(scores), 4))

    def file(self, study: str, name: str) -> bytes:
        """Return the content of a file of a study.

        Args:
            study: its id.
            name: a key of `FILES`.

        Raises:
            RefusedError: the study is not there, or there can be no such file of it.
        """
        with self.store.using(study) as found:
            problem = next(file.problem for file in found.answer.files if file.format == name)
            if problem is not None:
                remedy = f"choose another format than {FILES[name].label}"
                raise RefusedError(HTTPStatus.CONFLICT, found.upload.name, problem, remedy)
            try:
                return make_file(found, name)
            except HandsegInputError as error:
                raise RefusedError.of(HTTPStatus.CONFLICT, error) from error
