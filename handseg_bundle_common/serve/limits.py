"""What the local page allows, and how long it keeps what it was given."""

from __future__ import annotations

from dataclasses import dataclass

from handseg_bundle_common.errors import HandsegInputError


@dataclass(frozen=True)
class Limits:
    """Limits of the local page.

    Attributes:
        upload_bytes: a longer request is refused.
        waiting: requests that may wait for the one that is being segmented; more are refused.
        studies: segmented radiographs that are kept; the least recently used one makes room.
        minutes: a study that was not used for so long is deleted.

    Raises:
        HandsegInputError: a study would not be kept long enough to be looked at.
    """

    upload_bytes: int = 64 * 2**20
    waiting: int = 4
    studies: int = 8
    minutes: float = 30

    def __post_init__(self) -> None:
        if not 1 <= self.minutes <= 24 * 60:
            raise HandsegInputError("--minutes", f"{self.minutes} is out of range", "give 1 to 1440 minutes")
