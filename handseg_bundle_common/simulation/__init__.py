"""Simulated radiographs of the hand with exact overlapping masks, from projected bone surfaces."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.simulation.assets import about, build_assets, load_assets
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.sampler import SimulatedHand, hand_of, simulate_hand

if TYPE_CHECKING:
    from handseg_bundle_common.simulation.dataset import SimulatedHands
    from handseg_bundle_common.simulation.on_the_fly import SimulateHandd, simulated_items
    from handseg_bundle_common.simulation.report import write_report
    from handseg_bundle_common.simulation.writer import write_hands

__all__ = [
    "HandModel",
    "SimulateHandd",
    "SimulatedHand",
    "SimulatedHands",
    "about",
    "build_assets",
    "hand_of",
    "load_assets",
    "simulate_hand",
    "simulated_items",
    "write_hands",
    "write_report",
]


_LAZY = {
    "SimulateHandd": "on_the_fly",
    "SimulatedHands": "dataset",
    "simulated_items": "on_the_fly",
    "write_hands": "writer",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    """Import data set, writer and report only when asked for: a machine that samples may lack what they need."""
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
