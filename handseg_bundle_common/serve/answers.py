"""What the interface answers with, as types that OpenAPI describes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from handseg_bundle_common.anatomy import NUM_BONES, Group, Side

Share = Annotated[float, Field(ge=0, le=1)]


class AboutAnswer(BaseModel):
    """The server and its limits."""

    version: str
    upload_bytes: int = Field(description="A longer upload is refused.")
    studies: int = Field(description="Studies that are kept; the least recently used one makes room.")
    minutes: float = Field(description="A study that was not used for so long is deleted.")
    suffixes: list[str] = Field(description="How files of radiographs may end; DICOM files may have no suffix.")


class BundleAnswer(BaseModel):
    """A bundle that can segment."""

    name: str
    version: str
    description: str
    is_default: bool = Field(description="Whether it is used where no bundle is named.")
    is_loaded: bool = Field(description="Whether its weights are in memory; the first use takes a few seconds more.")


class BoneAnswer(BaseModel):
    """A bone, in channel order."""

    bone: str = Field(description="Its class name in the data set.")
    anatomical_name: str
    abbreviation: str
    group: Group
    colour: str = Field(pattern="^#[0-9a-f]{6}$")


class BoneSizes(BaseModel):
    """Measures of a bone, null where they cannot be taken; lengths are in the study's unit."""

    length: float | None
    width: float | None
    area: float | None
    orientation_deg: float | None = Field(description="Angle to the third metacarpal, positive towards the ulna.")
    perimeter: float | None
    mean_intensity: float | None
    is_cut: bool = Field(description="Whether the border of the picture cuts it.")


class FoundBone(BaseModel):
    """A bone of a study."""

    bone: str
    confidence: Share = Field(description="How far the mask can be trusted; no probability.")
    agreement: Share | None = Field(description="Dice between the members of an ensemble.")
    area_px: int
    components: int = Field(description="Parts that do not touch.")
    reasons: list[str] = Field(description="What lowers the confidence.")
    label: tuple[int, int] | None = Field(description="Column and row where its name can stand; null if it is missing.")
    sizes: BoneSizes | None = Field(description="Null if it is missing.")


class PictureFlag(BaseModel):
    """What is wrong with the picture as a whole."""

    reason: str
    message: str
    is_usable: bool = Field(description="Whether the masks are those of a hand all the same.")


class IndexAnswer(BaseModel):
    """An index of the wrist or the palm."""

    index: str
    label: str
    value: float | None
    text: str = Field(description="The value with its unit.")
    missing: str = Field(description="Why there is no value; empty where there is one.")


class GapAnswer(BaseModel):
    """What lies between two neighbouring bones."""

    bones: tuple[str, str]
    distance: float | None
    overlap: float | None = Field(description="Area that belongs to both, in the square of the unit.")


class FileAnswer(BaseModel):
    """A file that can be downloaded."""

    format: str
    name: str = Field(description="Name that the download gets.")
    label: str
    group: Literal["pictures", "tables", "masks"]
    media_type: str
    problem: str | None = Field(description="Why it cannot be made of this study; null where it can.")


class StudyAnswer(BaseModel):
    """A segmented radiograph."""

    id: str = Field(pattern="^[0-9a-f]{32}$")
    name: str = Field(description="Name of the file.")
    bundle: str
    height: int
    width: int
    seconds: float = Field(description="How long the segmentation took.")
    spacing_mm: float | None = Field(description="Distance of the centres of pixels; null where it is not known.")
    unit: Literal["px", "mm"]
    side: Side | None
    side_from: str | None = Field(description="What told the side.")
    picture: list[PictureFlag] = Field(description="What is wrong with the picture as a whole; empty for a whole hand.")
    flags: list[str] = Field(description="Bones to look at, one sentence each.")
    bones: list[FoundBone] = Field(min_length=NUM_BONES, max_length=NUM_BONES)
    indices: list[IndexAnswer]
    gaps: list[GapAnswer]
    files: list[FileAnswer]


class MasksAnswer(BaseModel):
    """All masks of a study, which may overlap."""

    height: int
    width: int
    masks: dict[str, str] = Field(
        description="Run-length code by bone: pairs of start and length separated by spaces, row after row, the first "
        "pixel being 1; empty for a bone that is missing."
    )


class BoneDiceAnswer(BaseModel):
    """How far two studies agree on a bone."""

    bone: str
    dice: Share = Field(description="1 where neither has found it.")


class ComparisonAnswer(BaseModel):
    """How far the masks of two studies of one radiograph agree."""

    bones: list[BoneDiceAnswer]
    mean_dice: Share
