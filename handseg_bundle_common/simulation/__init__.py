"""Simulated radiographs of the hand with exact overlapping masks, from projected bone surfaces."""

from typing import TYPE_CHECKING, Any

from handseg_bundle_common.simulation.assets import about, build_assets, load_assets
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.sampler import SimulatedHand, hand_of, simulate_hand
from handseg_bundle_common.simulation.writer import write_hands

if TYPE_CHECKING:
    from handseg_bundle_common.simulation.dataset import SimulatedHands

__all__ = [
    "HandModel",
    "SimulatedHand",
    "SimulatedHands",
    "about",
    "build_assets",
    "hand_of",
    "load_assets",
    "simulate_hand",
    "write_hands",
]


def __getattr__(name: str) -> Any:
    """Import the data set only when it is asked for, because it alone needs torch."""
    if name == "SimulatedHands":
        from handseg_bundle_common.simulation.dataset import SimulatedHands  # noqa: PLC0415

        return SimulatedHands
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
