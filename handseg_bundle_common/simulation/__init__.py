"""Simulated radiographs of the hand with exact overlapping masks, from projected bone surfaces."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handseg_bundle_common.errors import HandsegInputError

if TYPE_CHECKING:
    from handseg_bundle_common.simulation.assets import about, build_assets, load_assets
    from handseg_bundle_common.simulation.dataset import SimulatedHands
    from handseg_bundle_common.simulation.hand_model import HandModel
    from handseg_bundle_common.simulation.on_the_fly import RESERVED_SEEDS, SimulateHandd, simulated_items
    from handseg_bundle_common.simulation.report import write_report
    from handseg_bundle_common.simulation.sampler import SimulatedHand, hand_of, simulate_hand
    from handseg_bundle_common.simulation.settings import SIMULATOR_VERSION
    from handseg_bundle_common.simulation.writer import write_hands

__all__ = [
    "RESERVED_SEEDS",
    "SIMULATOR_VERSION",
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


_MODULES = {
    "HandModel": "hand_model",
    "RESERVED_SEEDS": "on_the_fly",
    "SIMULATOR_VERSION": "settings",
    "SimulateHandd": "on_the_fly",
    "SimulatedHand": "sampler",
    "SimulatedHands": "dataset",
    "about": "assets",
    "build_assets": "assets",
    "hand_of": "sampler",
    "load_assets": "assets",
    "simulate_hand": "sampler",
    "simulated_items": "on_the_fly",
    "write_hands": "writer",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    """Import a module only when it is asked for: a machine that segments may lack what the simulator needs.

    Raises:
        HandsegInputError: a library of the simulator is not installed.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("handseg_bundle_common"):
            raise
        raise HandsegInputError(error.name or name, "is not installed", 'pip install "handseg[simulate]"') from error
    return getattr(module, name)
