"""The curve of few labels with a random small network on a few small hands."""

from __future__ import annotations

import argparse
import hashlib
import json
import runpy
import shutil

import pytest
import torch

from handseg_bundle_common.datasets import data_list, fold_split
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.simulation import RESERVED_SEEDS, write_hands
from handseg_bundle_common.weights import save_weights, stored_settings

SETTINGS = {"image_size": 64, "window_size": None, "decoder_channels": 16}
# Stands in for the Python of a training, and writes weights where these belong.
TRAINER = """#!/bin/sh
while [ $# -gt 1 ]; do
    [ "$1" = --ckpt_dir ] && mkdir -p "$2" && echo trained > "$2/model.pt"
    shift
done
"""


@pytest.fixture
def bundle(repository, tmp_path):
    """A bundle with weights that nobody has trained, as the only one of a repository."""
    pytest.importorskip("numba")
    folder = tmp_path / "bundles" / "effisegnet"
    shutil.copytree(repository / "bundles" / "effisegnet" / "configs", folder / "configs")
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    metadata.pop("weights", None)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.manual_seed(0)
    save_weights(EffiSegNet(decoder_channels=16), folder / "models" / "model.pt", settings=SETTINGS)
    return folder


@pytest.fixture(scope="module")
def hands(tmp_path_factory):
    """Five hands of three patients."""
    pytest.importorskip("numba")
    return write_hands(5, 96, 5, tmp_path_factory.mktemp("hands"), workers=1)


@pytest.fixture
def scored(script, hands, monkeypatch):
    """Stand in for simulator, networks and figures, and count what is scored."""
    calls = []
    root = hands[0].parents[2]

    def write(count, size, seed, output, preset):
        shutil.copytree(root, output, dirs_exist_ok=True)
        (output / "simulation.json").write_text(f"{preset} {seed} {size}")
        return [output / hand.relative_to(root) for hand in hands[:count]]

    def score(root, weights, test, count):
        calls.append((weights, count))
        return script.Score((0.5, 0.4, 0.6), (0.3, 0.2, 0.4))

    monkeypatch.setattr(script, "score", score)
    monkeypatch.setattr(script, "write_hands", write)
    monkeypatch.setattr(script, "draw", lambda curves: _Figure())
    return calls


def python_that(script_text, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(script_text)
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))


def test_the_seeds_are_reserved_and_those_of_the_benchmark(script, repository):
    reserved = runpy.run_path(str(repository / "benchmarks" / "accuracy" / "hands.py"))["RESERVED"]
    assert script.TEST_SEED in {one.seed for one in reserved if one.preset == script.PRESET}
    assert script.LABELLED_SEED not in {one.seed for one in reserved}
    assert {script.TEST_SEED, script.LABELLED_SEED} <= set(RESERVED_SEEDS)


def test_the_first_patient_is_validated_and_the_hands_that_follow_train(script, hands, tmp_path):
    folds = script.labelled_subset(hands, 2, tmp_path / "two")
    assert len(data_list(folds.parent)) == 4
    for count, trained in ((2, hands[2:4]), (3, hands[2:5])):
        folds = script.labelled_subset(hands, count, tmp_path / str(count))
        found = {part: fold_split(folds.parent, folds, 0, part) for part in ("training", "validation")}
        names = {part: sorted(item["image_name"] for item in items) for part, items in found.items()}
        assert names["training"] == sorted(hand.name for hand in trained)
        assert names["validation"] == sorted(hand.name for hand in hands[:2])


def test_more_labels_cost_no_more_and_nothing_is_done_twice(script, bundle, tmp_path, monkeypatch):
    shown = ["--counts", "0,2", "--bundles", str(bundle), "--test", "2", "--size", "96", "--presented", "4"]
    words = [*shown, "--threads", "1", "--output", str(tmp_path / "output")]
    monkeypatch.setattr(script, "draw", lambda curves: _Figure())
    script.main(words)
    page = (tmp_path / "output" / "few-labels.md").read_text()
    assert "| 0 | 0." in page
    assert "| 2 | 0." in page
    assert f"\npython benchmarks/few_labels.py {' '.join(shown)} --threads 1\n" in page
    sha256 = hashlib.sha256((bundle / "models" / "model.pt").read_bytes()).hexdigest()
    assert f"PyTorch {torch.__version__}, from the weights" in page
    assert f"SHA-256 digests: effisegnet `{sha256[:12]}`." in page
    assert (tmp_path / "output" / "pictures" / "few_labels.png").read_text() == "drawn"
    (tuned,) = (tmp_path / "output").rglob("done.pt")
    assert torch.load(tuned, weights_only=True)["epoch"] == 2
    assert stored_settings(tuned)["image_size"] == 64
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: pytest.fail("trained twice"))
    monkeypatch.setattr(script, "load_predictor", lambda *_, **__: pytest.fail("scored twice"))
    script.main(words)
    assert (tmp_path / "output" / "few-labels.md").read_text() == page


@pytest.mark.parametrize(
    ("changed", "trained"),
    [("nothing", 1), ("test", 1), ("weights", 2), ("configuration", 2), ("recipe", 2), ("hands", 2), ("presented", 2)],
)
def test_what_scores_depend_on_is_trained_and_scored_anew(
    script, bundle, scored, tmp_path, monkeypatch, changed, trained
):
    """But other test hands need no other training."""
    python_that(TRAINER, tmp_path, monkeypatch)
    words = ["--counts", "1", "--bundles", str(bundle), "--test", "1", "--size", "64"]
    words += ["--output", str(tmp_path / "output")]
    script.main(words)
    if changed == "weights":
        save_weights(EffiSegNet(decoder_channels=16), bundle / "models" / "model.pt", settings=SETTINGS)
    elif changed in ("configuration", "recipe"):
        configuration = bundle / "configs" / {"configuration": "inference.json", "recipe": "finetune.json"}[changed]
        configuration.write_text(json.dumps(json.loads(configuration.read_text()) | {"overlap": 0.5}))
    elif changed != "nothing":
        words += {"test": ["--test", "2"], "hands": ["--size", "72"], "presented": ["--presented", "8"]}[changed]
    script.main(words)
    assert len(scored) == (1 if changed == "nothing" else 2)
    assert len({weights for weights, _ in scored}) == trained


def test_a_failed_training_is_one_sentence_and_leaves_nothing_to_the_next(script, bundle, hands, tmp_path, monkeypatch):
    arguments = argparse.Namespace(presented=4, threads=None)
    folder = tmp_path / "training of 2"
    python_that("#!/bin/sh\necho no memory left >&2\nexit 3\n", tmp_path, monkeypatch)
    with pytest.raises(HandsegInputError, match=r"training\.log: tells why a training failed \(exit status 3\)"):
        script.finetune(bundle, hands, 2, folder, arguments)
    assert (folder / "training.log").read_text() == "no memory left\n"
    stale = folder / "data" / "DCM" / "another" / "hand.png"
    stale.parent.mkdir()
    stale.touch()
    python_that(TRAINER, tmp_path, monkeypatch)
    assert script.finetune(bundle, hands, 2, folder, arguments).read_text() == "trained\n"
    assert not stale.exists()


def test_the_bundles_are_those_of_the_repository(script, bundle, scored, tmp_path, monkeypatch):
    """Though their names may mean others."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(bundle, elsewhere / bundle.name)
    monkeypatch.setenv("HANDSEG_BUNDLES", str(elsewhere))
    monkeypatch.setattr(script, "BUNDLES", [bundle.name])
    words = ["--counts", "0", "--test", "1", "--size", "64", "--output", str(tmp_path / "output"), "--publish"]
    script.main(words, tmp_path)
    assert scored == [(bundle / "models" / "model.pt", 1)]
    assert (tmp_path / "docs" / "few-labels.md").exists()


def test_other_bundles_are_not_published(script, bundle, tmp_path):
    words = ["--publish", "--output", str(tmp_path / "output"), "--bundles", str(bundle)]
    with pytest.raises(HandsegInputError, match="--publish: is for the repository's own bundles; leave out --bundles"):
        script.main(words, tmp_path)


def test_a_bundle_without_weights_is_named_before_anything_is_done(script, bundle, tmp_path):
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(HandsegInputError, match=r"effisegnet/models/model\.pt: is not there; train the bundle"):
        script.main(["--bundles", str(bundle), "--output", str(tmp_path / "output")])
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("word", ["--counts=2,-1", "--counts=", "--counts=a", "--test=0", "--size=-3", "--threads=1.5"])
def test_numbers_are_whole_and_not_below_zero(script, word, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main([word, "--output", str(tmp_path)])
    assert "no whole number" in capsys.readouterr().err


def test_the_figure_has_a_line_a_bundle_with_its_intervals(script):
    scores = {count: script.Score((0.5 + count / 100, 0.4, 0.8), (0.4, 0.3, 0.5)) for count in (0, 2, 20)}
    figure = script.draw({"first": scores, "second": scores})
    assert [len(axes.containers) for axes in figure.axes] == [2, 2]
    line = figure.axes[0].containers[0].lines[0]
    assert line.get_xydata().tolist() == [[0, 0.5], [2, 0.52], [20, 0.7]]
    figure.savefig("/dev/null", format="png")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "2", "20"]


class _Figure:
    """Stands in for a drawing."""

    def savefig(self, path, **_):
        path.write_text("drawn")
