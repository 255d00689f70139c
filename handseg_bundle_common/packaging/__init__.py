"""Bundles as things that are handed on: pages, weights that belong to them, and a look at those from elsewhere."""

from handseg_bundle_common.packaging.card import CARD, NOT_MEASURED, with_numbers
from handseg_bundle_common.packaging.compiled import TOLERANCE, Compiled, Form
from handseg_bundle_common.packaging.export import Exported, export_bundle
from handseg_bundle_common.packaging.install import Installed, install_weights, sample_dice
from handseg_bundle_common.packaging.verify import (
    CHECKSUMS,
    Check,
    Finding,
    Severity,
    Verification,
    open_bundle,
    verify_bundle,
)

__all__ = [
    "CARD",
    "CHECKSUMS",
    "NOT_MEASURED",
    "TOLERANCE",
    "Check",
    "Compiled",
    "Exported",
    "Finding",
    "Form",
    "Installed",
    "Severity",
    "Verification",
    "export_bundle",
    "install_weights",
    "open_bundle",
    "sample_dice",
    "verify_bundle",
    "with_numbers",
]
