"""What the benchmark tells of a bundle in the bundle itself: its page and its metadata."""

from __future__ import annotations

import json
from pathlib import Path

from hands import Half
from page import Report, machine
from results import COLUMNS, Result, all_bones, hard_bones_table, small_bones, table, told

from handseg_bundle_common.files import read_json, write_atomically
from handseg_bundle_common.packaging import CARD, with_numbers
from handseg_bundle_common.weights import METADATA


def update_cards(bundles: Path, report: Report) -> list[Path]:
    """Put the numbers of every bundle of a folder into its page and its metadata, if its own weights were measured.

    Args:
        bundles: the folder.
        report: what the benchmark found.

    Returns:
        The pages written.

    Raises:
        HandsegInputError: a page has no markers, or a file cannot be read or written.
    """
    own = [result for result in report.results if _is_own(result, bundles)]
    for result in own:
        folder = result.contestant.folder
        _write(folder / CARD, with_numbers(folder / CARD, card(result, report)))
        metadata = read_json(folder / METADATA, "compare the bundle with bundles/effisegnet")
        metadata["eval_metrics"] = eval_metrics(result)
        _write(folder / METADATA, json.dumps(metadata, indent=4, ensure_ascii=False) + "\n")
    return [result.contestant.folder / CARD for result in own]


def card(result: Result, report: Report) -> str:
    """Return the part of a bundle's page that tells what it reaches."""
    rows = []
    for half in Half:
        reached = (told(result.interval(half, score), digits) for score, digits in COLUMNS.values())
        rows.append((half, str(report.count(half)), *reached))
    speed = f"{result.seconds:.2f} s an image and {result.peak.told()} GB at the peak, libraries included"
    origin = (
        f"Made by `{report.command}` on simulated hands of {report.size} px that nothing was trained or chosen on, with"
        " 95 % bootstrap intervals over patients. Hands of the training settings are drawn like those of the training;"
        f" `shifted` ones lie outside its ranges. {machine(report.device)}: {speed}."
    )
    hands = table(("hands", "number", *COLUMNS), rows)
    return "\n\n".join([origin, hands, "Dice of the bones that are hardest:", hard_bones_table(result)])


def eval_metrics(result: Result) -> dict[str, float]:
    """Return mean and small-bone Dice on both halves, for the metadata."""
    scores = {"mean_dice": all_bones, "small_bone_dice": small_bones}
    names = {Half.SHIFTED: "shifted", Half.TRAINING: "training_settings"}
    return {
        f"{name}_{names[half]}": round(result.interval(half, score).estimate, 4)
        for half in Half
        for name, score in scores.items()
    }


def _is_own(result: Result, bundles: Path) -> bool:
    of = result.contestant
    return of.folder == (bundles / of.name).resolve() and of.weights == of.folder / "models" / "model.pt"


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
