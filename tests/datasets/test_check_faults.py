"""How faults are sorted and shown."""

from __future__ import annotations

import json

from handseg_bundle_common.datasets import Fault, FaultKind, Severity, fault_table, faults_to_json

FAULTS = [
    Fault(FaultKind.MISSING_BONE, "has no polygon", "p10", "p10_R.png", "Radius"),
    Fault(FaultKind.MISSING_BONE, "has no polygon", "p10", "p10_R.png", "finger-2"),
    Fault(FaultKind.MISSING_BONE, "has no polygon", "p1", "1.png", "Ulna"),
    Fault(FaultKind.UNREADABLE_IMAGE, "is empty; copy it again", "p1", "1.png"),
    Fault(FaultKind.FEW_PATIENTS, "all images are of one patient"),
]

TABLE = """\
error: too few patients (1)
  data set       all images are of one patient

error: unreadable image (1)
  p1/1.png       is empty; copy it again

warning: missing bone (3)
  p1/1.png       Ulna: has no polygon
  p10/p10_R.png  finger-2, Radius: has no polygon

2 errors and 3 warnings in 2 images; training cannot start before the errors are mended."""


def test_errors_stand_before_warnings_and_these_before_notes() -> None:
    severities = [kind.severity for kind in FaultKind]
    assert severities == sorted(severities, key=list(Severity).index)
    assert set(severities) == set(Severity)


def test_table() -> None:
    assert fault_table(FAULTS) == TABLE


def test_table_of_warnings_lets_training_start() -> None:
    assert fault_table(FAULTS[2:3]).endswith("\n\n0 errors and 1 warning in 1 image; training may start.")


def test_table_without_faults() -> None:
    assert fault_table([]) == "No faults found; training may start."


def test_a_note_takes_from_the_promise_and_counts_as_no_warning() -> None:
    note = Fault(FaultKind.UNCHECKED_AREAS, "areas are compared in 8 or more images")
    assert fault_table([note]) == (
        "note: areas not checked (1)\n"
        "  data set  areas are compared in 8 or more images\n\n"
        "No faults found by the other checks; training may start."
    )
    assert fault_table([FAULTS[2], note]).endswith("0 errors and 1 warning in 1 image; training may start.")
    document = faults_to_json([note])
    assert (document["errors"], document["warnings"], document["notes"]) == (0, 0, 1)


def test_json() -> None:
    document = json.loads(json.dumps(faults_to_json(FAULTS)))
    assert (document["training_may_start"], document["errors"], document["warnings"]) == (False, 2, 3)
    assert document["faults"][1] == {
        "severity": "error",
        "kind": "unreadable image",
        "patient": "p1",
        "image": "1.png",
        "bone": None,
        "message": "is empty; copy it again",
    }
    assert faults_to_json(FAULTS[:3])["training_may_start"]
