"""Several networks as one: members, fusion, votes, a second look at the carpals, selection and confidence."""

from handseg_bundle_common.ensemble.agreement import agreement, disagreement_map
from handseg_bundle_common.ensemble.bundle import write_ensemble_bundle
from handseg_bundle_common.ensemble.carpal import CarpalStage
from handseg_bundle_common.ensemble.confidence import BoneConfidence, CaseConfidence, ConfidenceTable, case_confidence
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
    "Combine",
    "ConfidenceTable",
    "EnsembleNetwork",
    "Fusion",
    "Member",
    "MemberSettings",
    "Objective",
    "Role",
    "Selection",
    "agreement",
    "case_confidence",
    "disagreement_map",
    "ensemble_settings",
    "load_ensemble",
    "load_fusion",
    "required_votes",
    "save_fusion",
    "select_members",
    "selection_text",
    "vote_codes",
    "vote_submissions",
    "write_ensemble_bundle",
    "write_selection",
]
