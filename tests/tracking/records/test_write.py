"""Records made and filled in from MLflow, before a training or after it."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, SMALL_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.tracking.records import Source, fill_record, new_record
from handseg_bundle_common.tracking.runs import find_run

NOTE = "mlflow.note.content"


def section(text: str, heading: str) -> str:
    return re.split(r"^## ", text.split(f"## {heading}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, list[str]]:
    """Return the rows of all tables by their first cell."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line.startswith("|")]
    return {first: rest for first, *rest in lines}


def naive_difference(after: np.ndarray, before: np.ndarray, channels: list[int]) -> tuple[float, float, float]:
    """Return the mean over bones of mean differences, and its interval over patients of two images each."""

    def mean(images: list[int]) -> float:
        return float(np.mean([np.mean([after[i, k] - before[i, k] for i in images]) for k in channels]))

    rng = np.random.default_rng(7)
    patients = len(after) // 2
    drawn = [mean([2 * p + side for p in rng.integers(0, patients, patients) for side in (0, 1)]) for _ in range(600)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return mean(list(range(len(after)))), low, high


def test_a_record_of_a_run_against_its_parent_run(store, folder, pair, dice) -> None:
    run, parent = pair
    path = new_record(folder, store.source(run, parent), texts={"hypothesis": "Averaged weights gain."})
    assert path == folder / "averaged.md"
    text = path.read_text()
    tracked, before = (find_run(store.client, "handseg", name) for name in pair)
    facts = rows(text.split("## ")[0])
    assert facts["run id"] == [tracked.run_id]
    assert facts["parent run id"] == [before.run_id]
    assert facts["bundle"] == ["effisegnet+swa 0.1.0"]
    assert facts["date"] == [f"{tracked.started:%Y-%m-%d}"]
    assert section(text, "Hypothesis").strip() == "Averaged weights gain."
    assert rows(section(text, "What changed")) == {
        "setting": ["parent run", "this run"],
        "---": ["---", "---"],
        "recipe": ["effisegnet", "effisegnet+swa"],
        "swa_start": ["-", "8"],
        "made with": ["parent run", "this run"],
        "bundle_version": ["-", "0.1.0"],
        "torch": ["2.13.0", "2.13.1"],
    }
    data = rows(section(text, "Data"))
    assert data["data fingerprint"] == ["sha256:d41d8cd9d41d"] * 2
    assert data["images scored"] == ["12 of 6 patients"] * 2
    assert "Best epoch: 2 of 3, mean Dice of its validation 0.7000." in section(text, "Result")


def test_numbers_are_those_of_a_naive_reference(store, folder, pair, dice) -> None:
    run, parent = pair
    text = new_record(folder, store.source(run, parent)).read_text()
    after = find_run(store.client, "handseg", run).scores.dice
    shown = rows(section(text, "Result"))
    small = [BONE_NAMES.index(name) for name in SMALL_BONES]
    for label, channels in (("all bones", list(range(29))), ("small bones", small)):
        before_text, after_text, difference = shown[label]
        estimate, low, high = naive_difference(after, dice, channels)
        found = [float(number) for number in re.findall(r"[+-]?\d\.\d+", difference)]
        assert found[0] == pytest.approx(estimate, abs=6e-5)
        assert found[1:] == pytest.approx([low, high], abs=1e-3)
        assert float(before_text[:6]) == pytest.approx(dice[:, channels].mean(), abs=6e-5)
        assert float(after_text[:6]) == pytest.approx(after[:, channels].mean(), abs=6e-5)
    gains = dict(zip(BONE_NAMES, (after - dice).mean(axis=0), strict=True))
    order = sorted(gains, key=gains.get)
    bones = [name for name in shown if name in BONE_NAMES]
    lost = [name for name in order if gains[name] < 0][:5]
    assert bones == [*order[:-6:-1], *lost]


def test_the_hypothesis_first_and_the_result_later(store, folder, pair, make_run, dice) -> None:
    run, (_, parent) = make_run(dice), pair
    path = new_record(folder, store.source(parent=parent), name="swa-on-windows", texts={"expected": "0.003 more."})
    planned = path.read_text()
    assert planned.count("Nothing is filled in yet") == 3
    assert "| parent run | whole |" in planned
    words = "Windows *gain*,\n\n```\n## Result\n```\nI say."
    typed = planned.replace("<!-- What do you expect to be true, and why? -->", words)
    typed += "\nA line at the end without a line feed"
    path.write_bytes(typed.encode())
    fill_record(path, store.source(run), texts={"conclusion": "They do."})
    filled = path.read_text()
    assert f"{words}\n\n## What changed" in filled
    assert filled.endswith("A line at the end without a line feed")
    assert section(filled, "Conclusion").strip() == "They do."
    assert rows(filled)["parent run"] == ["whole"]
    assert "Nothing is filled in yet" not in filled
    again = fill_record(path, store.source()).read_text()
    assert again == filled


def test_a_record_is_the_note_and_an_artifact_of_its_run(store, folder, make_run, dice, tmp_path) -> None:
    run = make_run(dice)
    path = new_record(folder, store.source(run), texts={"hypothesis": "Größer 更好 ✓"})
    tracked = find_run(store.client, "handseg", run)
    assert tracked.tags[NOTE] == path.read_text(encoding="utf-8")
    artifact = store.client.download_artifacts(tracked.run_id, "record.md", str(tmp_path))
    with open(artifact, "rb") as file:  # noqa: PTH123
        assert file.read() == path.read_bytes()
    path.write_text(path.read_text() + "More.\n")
    fill_record(path, store.source())
    assert find_run(store.client, "handseg", run).tags[NOTE].endswith("More.\n")


def test_a_long_record_says_in_the_note_where_it_goes_on(store, folder, make_run, dice) -> None:
    run = make_run(dice)
    new_record(folder, store.source(run), texts={"hypothesis": "word " * 3000})
    note = find_run(store.client, "handseg", run).tags[NOTE]
    assert len(note) == 8000
    assert note.endswith("*It goes on in the artifact record.md.*\n")
    fill_record(folder / f"{run}.md", store.source())


def test_a_note_that_a_person_wrote_in_mlflow_is_not_written_over(store, folder, make_run, dice) -> None:
    run = make_run(dice)
    path = new_record(folder, store.source(run))
    run_id = find_run(store.client, "handseg", run).run_id
    store.client.set_tag(run_id, NOTE, "looked at the pisiform")
    before = path.read_bytes()
    with pytest.raises(HandsegInputError, match="its note in MLflow was not written by this command"):
        fill_record(path, store.source(), texts={"conclusion": "None."})
    assert path.read_bytes() == before
    store.client.set_tag(run_id, NOTE, "")
    fill_record(path, store.source(), texts={"conclusion": "None."})


def test_a_second_record_does_not_take_the_place_of_the_first(store, folder, make_run, dice) -> None:
    run = make_run(dice)
    new_record(folder, store.source(run), texts={"conclusion": "It helps."})
    before = find_run(store.client, "handseg", run).tags[NOTE]
    with pytest.raises(HandsegInputError, match=f"has the record '{run}' already"):
        new_record(folder, store.source(run), name="second")
    assert find_run(store.client, "handseg", run).tags[NOTE] == before
    assert not (folder / "second.md").exists()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (None, r"The run has not ended"),
        ("FAILED", r"Failed \d{4}-\d\d-\d\d \d\d:\d\d UTC\."),
        ("KILLED", r"Stopped \d{4}"),
        ("FINISHED", r"Finished \d{4}"),
    ],
)
def test_the_result_tells_how_the_training_stands(store, folder, make_run, status, sentence) -> None:
    text = new_record(folder, store.source(make_run(status=status))).read_text()
    result = section(text, "Result")
    assert re.search(sentence, result)
    assert "no scores of images" in result


def test_runs_without_anything_to_compare(store, folder, make_run, dice) -> None:
    bare, scored = make_run(validations=()), make_run(dice, validations=(0.5,))
    text = new_record(folder, store.source(scored, bare)).read_text()
    assert "The parent run has no scores of images" in text
    assert "Best epoch" not in text
    assert "No setting differs from the parent run." in text
    assert "No parent run is named" in new_record(folder, store.source(bare)).read_text()


def test_other_images_and_single_patients(store, folder, make_run, dice) -> None:
    with_gaps = dice.copy()
    with_gaps[:, 3] = np.nan
    whole, part = make_run(with_gaps), make_run(dice[:2] - 0.1)
    result = section(new_record(folder, store.source(part, whole)).read_text(), "Result")
    assert "Differences are those on the images that both have" not in result
    assert "2 of 1 patient." in result
    assert rows(result)["all bones"][2] == "-0.1000 (no interval)"
    assert "No bone is gained." in result
    assert "finger-4" not in result


def test_names_of_runs_are_escaped_and_become_files(store, folder, make_run, dice) -> None:
    run = make_run(dice, name="a/b <!-- /handseg --> | x", parameters={"loss": "<script>|`dice`"})
    path = new_record(folder, store.source(run, make_run(dice)))
    assert path.name == "a-b-handseg-x.md"
    assert "<script>" not in path.read_text()
    assert "| loss | - | &lt;script&gt;\\|\\`dice\\` |" in path.read_text()
    fill_record(path, store.source())


def test_nothing_is_written_over_or_half_written(store, folder, make_run, pair) -> None:
    run, parent = pair
    path = new_record(folder, store.source(run, parent))
    before = {file: file.read_bytes() for file in folder.iterdir()}
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: new_record(folder, store.source(run)), "is there already"),
        (lambda: new_record(folder, store.source()), "--run: is missing"),
        (lambda: new_record(folder, store.source("absent")), "no run of 'handseg'"),
        (lambda: new_record(folder, store.source(parent, parent)), "is the run itself"),
        (lambda: new_record(folder, store.source(), name="a/b"), "cannot name a record"),
        (lambda: new_record(folder, store.source(), name="Readme"), "cannot name a record"),
        (lambda: new_record(folder, store.source(), name="a" * 400), "has 400 characters; choose one of at most 60"),
        (lambda: new_record(folder, store.source(), name="b", texts={"next_step": "```"}), "--next-step: code opens"),
        (lambda: fill_record(folder / "absent.md", store.source(run)), "cannot be read"),
    ]
    for call, message in refused:
        with pytest.raises(HandsegInputError, match=message):
            call()
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    plan = new_record(folder, store.source(), name="plan")
    with pytest.raises(HandsegInputError, match="the record names no run"):
        fill_record(plan, store.source())
    path.write_text(path.read_text().replace("<!-- handseg: data -->", "<!-- handseg data -->"))
    with pytest.raises(HandsegInputError, match=r"averaged\.md:\d+: the marker .* is damaged"):
        fill_record(path, store.source())


def test_other_data_and_few_patients_are_told(store, folder, make_run, dice) -> None:
    after, before = (make_run(dice, parameters={"data_fingerprint": mark}) for mark in "ab")
    result = section(new_record(folder, store.source(after, before)).read_text(), "Result")
    assert "The fingerprints of the data of the two runs differ" in result
    assert f"Intervals of {len(dice) // 2} patients are too narrow" in result
    same = section(new_record(folder, store.source(make_run(dice), before)).read_text(), "Result")
    assert "fingerprints" not in same


def test_a_long_name_of_a_run_is_cut_for_its_file(store, folder, make_run) -> None:
    assert new_record(folder, store.source(make_run(name="long " * 50))).name == f"{'long-' * 12}.md".replace("-.", ".")


def test_a_written_plan_needs_no_store(folder) -> None:
    nowhere = Source("sqlite:///absent/mlflow.db")
    path = new_record(folder, nowhere, name="plan", texts={"hypothesis": "It gains."})
    fill_record(path, nowhere, texts={"next_step": "Train."})
    assert "Train." in path.read_text()
    with pytest.raises(HandsegInputError, match="no MLflow database"):
        fill_record(path, Source("sqlite:///absent/mlflow.db", run="a"))
