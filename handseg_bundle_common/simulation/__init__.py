"""Simulated radiographs of the hand with exact overlapping masks, from projected bone surfaces."""

from handseg_bundle_common.simulation.assets import HandModel, about, build_assets, load_assets
from handseg_bundle_common.simulation.dataset import SimulatedHands
from handseg_bundle_common.simulation.sampler import SimulatedHand, simulate_hand
from handseg_bundle_common.simulation.writer import write_hands

__all__ = [
    "HandModel",
    "SimulatedHand",
    "SimulatedHands",
    "about",
    "build_assets",
    "load_assets",
    "simulate_hand",
    "write_hands",
]
