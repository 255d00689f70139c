"""The way of placing windows as a setting of a bundle."""

from __future__ import annotations

from typing import Any

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.windows.inferers import WindowInferer
from handseg_bundle_common.windows.on_bone import BoneWindowInferer

PLACEMENTS: dict[str, type[WindowInferer]] = {"grid": WindowInferer, "bone": BoneWindowInferer}


def window_inferer(placement: str = "grid", **settings: Any) -> WindowInferer:
    """Return the inferer that places windows in a way.

    Args:
        placement: "grid", `WindowInferer`, or "bone", `BoneWindowInferer`.
        settings: what these take.

    Raises:
        HandsegInputError: the way is unknown, or a setting is out of range.
    """
    if placement not in PLACEMENTS:
        raise HandsegInputError("placement", f"{placement!r} is unknown", f"choose {' or '.join(PLACEMENTS)}")
    return PLACEMENTS[placement](**settings)
