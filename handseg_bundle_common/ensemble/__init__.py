"""Several networks as one: members, fusion, votes, a second look at the carpals, selection and confidence."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handseg_bundle_common.ensemble.agreement import disagreement_map, member_agreement
    from handseg_bundle_common.ensemble.bundle import write_ensemble_bundle
    from handseg_bundle_common.ensemble.carpal import CarpalStage
    from handseg_bundle_common.ensemble.case import CaseFault, CaseReason, case_faults, case_flags
    from handseg_bundle_common.ensemble.confidence import (
        BoneConfidence,
        CaseConfidence,
        ConfidenceTable,
        case_confidence,
    )
    from handseg_bundle_common.ensemble.fusion import Fusion, load_fusion, save_fusion
    from handseg_bundle_common.ensemble.members import Member, MemberSettings, Role
    from handseg_bundle_common.ensemble.network import Combine, EnsembleNetwork, load_ensemble
    from handseg_bundle_common.ensemble.selection import (
        Objective,
        Selection,
        ensemble_settings,
        select_members,
        selection_text,
        write_selection,
    )
    from handseg_bundle_common.ensemble.vote import required_votes, vote_codes, vote_submissions

__all__ = [
    "BoneConfidence",
    "CarpalStage",
    "CaseConfidence",
    "CaseFault",
    "CaseReason",
    "Combine",
    "ConfidenceTable",
    "EnsembleNetwork",
    "Fusion",
    "Member",
    "MemberSettings",
    "Objective",
    "Role",
    "Selection",
    "case_confidence",
    "case_faults",
    "case_flags",
    "disagreement_map",
    "ensemble_settings",
    "load_ensemble",
    "load_fusion",
    "member_agreement",
    "required_votes",
    "save_fusion",
    "select_members",
    "selection_text",
    "vote_codes",
    "vote_submissions",
    "write_ensemble_bundle",
    "write_selection",
]

_MODULES = {
    "BoneConfidence": "confidence",
    "CarpalStage": "carpal",
    "CaseConfidence": "confidence",
    "Combine": "network",
    "ConfidenceTable": "confidence",
    "EnsembleNetwork": "network",
    "Fusion": "fusion",
    "Member": "members",
    "MemberSettings": "members",
    "Objective": "selection",
    "Role": "members",
    "Selection": "selection",
    "case_confidence": "confidence",
    "case_faults": "case",
    "case_flags": "case",
    "CaseFault": "case",
    "CaseReason": "case",
    "disagreement_map": "agreement",
    "ensemble_settings": "selection",
    "load_ensemble": "network",
    "load_fusion": "fusion",
    "member_agreement": "agreement",
    "required_votes": "vote",
    "save_fusion": "fusion",
    "select_members": "selection",
    "selection_text": "selection",
    "vote_codes": "vote",
    "vote_submissions": "vote",
    "write_ensemble_bundle": "bundle",
    "write_selection": "selection",
}


def __getattr__(name: str) -> Any:
    """Import a module when one of its names is asked for: a vote on run-length codes needs no network."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
