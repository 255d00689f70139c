"""The page of comparisons: differences of the same images, and conclusions that a person wrote."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, SMALL_BONES

PATIENTS = ["a", "a", "b", "b", "c", "c"]


def analysis(dice: np.ndarray, reference_px: np.ndarray) -> SimpleNamespace:
    """Return what the page reads of an analysis."""
    columns = {"dice": dice, "reference_px": reference_px, "boundary_error_rate": 1 - dice}
    return SimpleNamespace(scores=columns.__getitem__, overlap_dice=dice / 2, patients=PATIENTS)


@pytest.fixture
def pair() -> tuple[SimpleNamespace, SimpleNamespace]:
    """Two models on six images, in one of which the pisiform is not."""
    rng = np.random.default_rng(0)
    baseline = rng.uniform(0.5, 0.8, (len(PATIENTS), NUM_BONES))
    reference_px = np.full(baseline.shape, 100)
    reference_px[0, CHANNEL["Pisiform"]] = 0
    return analysis(baseline + rng.uniform(0.05, 0.1, baseline.shape), reference_px), analysis(baseline, reference_px)


def test_differences_are_means_over_bones_of_means_over_images_that_show_them(
    script: ModuleType, pair: tuple[SimpleNamespace, SimpleNamespace]
) -> None:
    model, baseline = pair
    gained = model.scores("dice") - baseline.scores("dice")
    of_bones = [gained[1:, k].mean() if k == CHANNEL["Pisiform"] else gained[:, k].mean() for k in range(NUM_BONES)]
    wanted = {
        "mean Dice": np.mean(of_bones),
        "small bones": np.mean([of_bones[CHANNEL[name]] for name in SMALL_BONES]),
        "pisiform": of_bones[CHANNEL["Pisiform"]],
        "overlap zones": gained.mean() / 2,
        "boundary error rate": -gained.mean(),
    }

    rows = dict(script.differences({"model": model}, baseline))

    assert rows.keys() == wanted.keys()
    for title, value in wanted.items():
        assert rows[title].startswith(f"{value:+.3f} (")


def test_bones_are_named_only_where_the_interval_leaves_zero_out(
    script: ModuleType, pair: tuple[SimpleNamespace, SimpleNamespace]
) -> None:
    baseline = pair[1]
    dice = np.array(baseline.scores("dice"))
    dice[:, CHANNEL["Lunate"]] += 0.1
    dice[:, CHANNEL["Hamate"]] -= 0.2
    dice[:, CHANNEL["Radius"]] += [0.3, 0.3, -0.3, -0.3, 0, 0]
    changed = analysis(dice, baseline.scores("reference_px"))

    sentence = script.named_bones("windows", changed, baseline)

    lunate, hamate = (script.BONES[CHANNEL[name]].abbreviation for name in ("Lunate", "Hamate"))
    assert f"better in 1 of 29 bones (most: {lunate} +0.100)" in sentence
    assert f"worse in 1 of 29 bones (most: {hamate} -0.200)" in sentence


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("# x\n## Conclusion\n<!-- What follows? -->\nWindows\nhelp.\n\n## Next step\nMore.\n", "Windows help."),
        ("## Conclusion\nLast of all.", "Last of all."),
        ("## Conclusion\n<!-- What\nfollows? -->\n\n## Next step\nMore.\n", "None written yet."),
        ("## Hypothesis\nWindows help.\n", "None written yet."),
    ],
)
def test_a_conclusion_is_what_a_person_wrote(script: ModuleType, record: str, wanted: str) -> None:
    assert script.conclusion(record) == wanted
