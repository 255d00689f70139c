"""Several networks as one: members, fusion, votes, a second look at the carpals, selection and confidence."""

from handseg_bundle_common.ensemble.bundle import write_ensemble_bundle
from handseg_bundle_common.ensemble.carpal import CarpalStage
from handseg_bundle_common.ensemble.fusion import Fusion, load_fusion, save_fusion
from handseg_bundle_common.ensemble.members import Member, MemberSettings, Role
from handseg_bundle_common.ensemble.network import Combine, EnsembleNetwork, load_ensemble

__all__ = [
    "CarpalStage",
    "Combine",
    "EnsembleNetwork",
    "Fusion",
    "Member",
    "MemberSettings",
    "Role",
    "load_ensemble",
    "load_fusion",
    "save_fusion",
    "write_ensemble_bundle",
]
