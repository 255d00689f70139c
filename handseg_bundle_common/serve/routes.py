"""The interface over HTTP: bones, bundles, studies and their files."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, File, Path, Query, Response, UploadFile

from handseg_bundle_common import __version__
from handseg_bundle_common.anatomy import BONES
from handseg_bundle_common.formats.radiograph import SUFFIXES
from handseg_bundle_common.inference.mask_files import OVERLAY
from handseg_bundle_common.measurements.scale import LEAST_MM, MOST_MM
from handseg_bundle_common.serve.answers import (
    AboutAnswer,
    BoneAnswer,
    BundleAnswer,
    ComparisonAnswer,
    MasksAnswer,
    StudyAnswer,
)
from handseg_bundle_common.serve.desk import Desk
from handseg_bundle_common.serve.downloads import FILES
from handseg_bundle_common.serve.problems import refusals

Identity = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The study's id.")]
BundleName = Annotated[str | None, Query(description="Name of a bundle; the default one where it is left out.")]
Spacing = Annotated[
    float | None,
    Query(ge=LEAST_MM, le=MOST_MM, description="Distance of the centres of pixels in mm, in place of the file's."),
]
Format = Annotated[str, Path(pattern=f"^({'|'.join(FILES)})$", description="One of the study's `files`.")]

_MISSING = refusals(HTTPStatus.NOT_FOUND)
_COMPARED = refusals(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_SEGMENTED = refusals(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": _BYTES}}}
_KINDS = sorted({file.media_type for file in FILES.values()})
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {"schema": {"type": "object"}} if "json" in kind else _BYTES for kind in _KINDS}}
}


def api_routes(desk: Desk) -> APIRouter:
    """Return the routes below `/api`, which ask a desk for everything."""
    router = APIRouter(prefix="/api")

    @router.get("/about", responses=refusals(), tags=["server"])
    def about() -> AboutAnswer:
        """Version, limits, and how long studies are kept."""
        limits = desk.limits
        return AboutAnswer(
            version=__version__,
            upload_bytes=limits.upload_bytes,
            studies=limits.studies,
            minutes=limits.minutes,
            suffixes=list(SUFFIXES),
        )

    @router.get("/bundles", responses=refusals(), tags=["server"])
    def bundles() -> list[BundleAnswer]:
        """Bundles that can segment, the default one first."""
        return desk.bundles.answers()

    @router.get("/bones", responses=refusals(), tags=["server"])
    def bones() -> list[BoneAnswer]:
        """The twenty-nine bones in channel order."""
        return [
            BoneAnswer(
                bone=bone.name,
                anatomical_name=bone.anatomical_name,
                abbreviation=bone.abbreviation,
                group=bone.group,
                colour="#{:02x}{:02x}{:02x}".format(*bone.colour),
            )
            for bone in BONES
        ]

    @router.post("/studies", status_code=HTTPStatus.CREATED, responses=_SEGMENTED, tags=["studies"])
    def segment(
        file: Annotated[UploadFile, File(description="The radiograph.")],
        bundle: BundleName = None,
        spacing_mm: Spacing = None,
    ) -> StudyAnswer:
        """Segment and measure a radiograph."""
        return desk.segment(file.file, file.filename or "", bundle, spacing_mm)

    @router.post("/studies/{study}/again", status_code=HTTPStatus.CREATED, responses=_SEGMENTED, tags=["studies"])
    def again(study: Identity, bundle: BundleName = None, spacing_mm: Spacing = None) -> StudyAnswer:
        """Segment the radiograph of a study once more, as a study of its own."""
        return desk.again(study, bundle, spacing_mm)

    @router.get("/studies/{study}", responses=_MISSING, tags=["studies"])
    def read(study: Identity) -> StudyAnswer:
        """What was found: bones, confidence, warnings, measurements, and which files can be downloaded."""
        with desk.store.using(study) as found:
            return found.answer

    @router.delete("/studies/{study}", status_code=HTTPStatus.NO_CONTENT, responses=_MISSING, tags=["studies"])
    def delete(study: Identity) -> None:
        """Delete the radiograph and all that was made of it."""
        desk.store.delete(study)

    @router.get("/studies/{study}/masks", responses=_MISSING, tags=["studies"])
    def masks(study: Identity) -> MasksAnswer:
        """All masks as run-length codes."""
        with desk.store.using(study) as found:
            return found.coded_masks()

    @router.get(
        "/studies/{study}/radiograph.png", response_class=Response, responses={**_MISSING, **_PICTURE}, tags=["studies"]
    )
    def radiograph(study: Identity) -> Response:
        """The radiograph in 8 bits with its contrast stretched."""
        with desk.store.using(study) as found:
            return Response(found.picture(), media_type="image/png")

    @router.get(
        "/studies/{study}/overlay.png", response_class=Response, responses={**_MISSING, **_PICTURE}, tags=["studies"]
    )
    def overlay(study: Identity) -> Response:
        """The overlay that `handseg predict` draws."""
        return Response(desk.file(study, OVERLAY), media_type="image/png")

    @router.get("/studies/{study}/compare/{other}", responses=_COMPARED, tags=["studies"])
    def compare(study: Identity, other: Identity) -> ComparisonAnswer:
        """Dice of every bone between two studies of one radiograph."""
        return desk.compare(study, other)

    @router.get(
        "/studies/{study}/files/{format}",
        response_class=Response,
        responses={**_COMPARED, **_FILE},
        tags=["studies"],
    )
    def file(study: Identity, format: Format) -> Response:  # noqa: A002 - the parameter's name in the address
        """A file of the masks or the measurements, as `handseg predict` and `handseg measure` write it."""
        content, kind = desk.file(study, format), FILES[format]
        with desk.store.using(study) as found:
            name = kind.name(found.upload.name)
        return Response(content, media_type=kind.media_type, headers={"Content-Disposition": _attachment(name)})

    return router


def _attachment(name: str) -> str:
    """Return the header by which a download gets its name (RFC 6266), which for old programs is plain letters."""
    plain = "".join(letter if letter.isascii() else "_" for letter in name)
    return f"attachment; filename=\"{plain}\"; filename*=utf-8''{quote(name, safe='')}"
