"""The whole benchmark with a random small network on a few small hands."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.ensemble import write_ensemble_bundle
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats import radiograph
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

MARKED = "before\n<!-- benchmark -->\nnothing\n<!-- /benchmark -->\nafter\n"
SETTINGS = {"image_size": 64, "decoder_channels": 16}


@pytest.fixture(autouse=True)
def loud_again() -> Iterator[None]:
    """The benchmark silences the reader of radiographs for the rest of its process, which here has other tests."""
    logger = logging.getLogger(radiograph.__name__)
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def own(tmp_path_factory, repository) -> Path:
    """A repository of two bundles, the second of which has no weights."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "README.md").write_text(MARKED)
    for name, source in (("effisegnet", "effisegnet"), ("empty", "segformer")):
        bundle = folder / "bundles" / name
        (bundle / "configs").mkdir(parents=True)
        for file in ("inference.json", "metadata.json"):
            shutil.copyfile(repository / "bundles" / source / "configs" / file, bundle / "configs" / file)
        (bundle / "docs").mkdir()
        (bundle / "docs" / "README.md").write_text(MARKED)
    metadata = folder / "bundles" / "effisegnet" / "configs" / "metadata.json"
    described = json.loads(metadata.read_text())
    described.pop("weights", None)
    metadata.write_text(json.dumps(described))
    torch.manual_seed(0)
    weights = folder / "bundles" / "effisegnet" / "models" / "model.pt"
    save_weights(EffiSegNet(decoder_channels=16), weights, settings=SETTINGS)
    return folder


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Command line for three hands of 192 px, one of which goes through all variants."""
    pytest.importorskip("numba")
    small = ["--count", "2", "--size", "192", "--robustness-count", "1", "--device", "cpu", "--workers", "1"]
    return [*small, "--output", str(tmp_path_factory.mktemp("benchmark"))]


@pytest.fixture
def weighed(script, monkeypatch):
    """Stand in for the process that is weighed, and count."""
    calls = []

    def weigh(contestant, *_):
        calls.append(contestant.name)
        return script.Peak(1.25, 0.0)

    monkeypatch.setattr(script, "weigh", weigh)
    return calls


@pytest.fixture
def segmented(script, weighed, monkeypatch):
    """Stand in for the networks and the figures, and count the pictures."""
    import scores  # noqa: PLC0415

    calls = []

    def segment(_, task):
        calls.append(task.key)
        return scores.Case(*task.key, task.hand.patient, 0.5, np.full((len(scores.METRICS), NUM_BONES), 0.5))

    monkeypatch.setattr(script, "segment", segment)
    monkeypatch.setattr(script, "load_predictor", lambda *_, **__: None)
    monkeypatch.setattr(script, "draw", lambda *_: None)
    return calls


@pytest.fixture
def threads():
    """The number of PyTorch's threads; it is restored afterwards, and so is OpenCV's."""
    before, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    yield before
    torch.set_num_threads(before)
    cv2.setNumThreads(of_opencv)


def test_a_page_with_figures_tells_everything(script, options, own, weighed, capsys, monkeypatch):
    words = [*options, "--publish"]
    script.main(words, own)
    page, readme, card = (
        (own / path).read_text() for path in ("docs/benchmark.md", "README.md", "bundles/effisegnet/docs/README.md")
    )
    for text in (page, readme, card):
        command = "python benchmarks/accuracy --count 2 --size 192 --robustness-count 1 --device cpu --publish"
        assert command in text.replace("`", "\n").splitlines()
        assert f"PyTorch {torch.__version__}" in text
    for text in (page, readme):
        assert "| effisegnet | 0." in text
        assert "| empty | no weights |" in text
    assert "- `empty`: no weights of `empty`" in page
    assert all(f"| {variant.name} | 0." in page for variant in script.VARIANTS)
    assert "nan" not in page
    assert readme.startswith("before\n<!-- benchmark -->\nMade by")
    assert readme.endswith("\n<!-- /benchmark -->\nafter\n")
    pictures = own / "docs" / "pictures" / "benchmark"
    assert sorted(path.name for path in pictures.iterdir()) == ["accuracy.png", "bones.png", "robustness.png"]
    assert "empty is not measured: no weights of empty" in capsys.readouterr().err

    # Again: nothing is segmented or weighed twice, and the page is the same.
    monkeypatch.setattr(script, "segment", lambda *_: pytest.fail("segmented twice"))
    monkeypatch.setattr(script, "draw", lambda *_: None)
    script.main(words, own)
    assert (own / "docs" / "benchmark.md").read_text() == page
    assert weighed == ["effisegnet"]


def test_an_interrupted_run_goes_on(script, options, own, segmented, tmp_path, monkeypatch):
    words = [*options, "--output", str(tmp_path)]
    segment = script.segment

    def interrupted(predictor, task):
        if len(segmented) == 2:
            raise KeyboardInterrupt
        return segment(predictor, task)

    monkeypatch.setattr(script, "segment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        script.main(words, own)
    first = segmented.copy()
    monkeypatch.setattr(script, "segment", segment)
    script.main(words, own)
    assert segmented[:2] == first
    assert len(set(segmented)) == len(segmented) == 3 + len(script.VARIANTS)
    assert (tmp_path / "benchmark.md").exists()


@pytest.mark.parametrize("changed", ["nothing", "weights", "configuration", "hands", "threads", "machine"])
def test_what_scores_and_times_depend_on_is_measured_anew(
    script, options, own, segmented, weighed, threads, tmp_path, monkeypatch, changed
):
    repository = tmp_path / "repository"
    shutil.copytree(own, repository)
    words = [*options, "--output", str(tmp_path / "output")]
    monkeypatch.setattr(script, "write_page", lambda *_: None)
    script.main(words, repository)
    number = len(segmented)
    bundle = repository / "bundles" / "effisegnet"
    if changed == "weights":
        save_weights(EffiSegNet(decoder_channels=16), bundle / "models" / "model.pt", settings=SETTINGS)
    elif changed == "configuration":
        configuration = bundle / "configs" / "inference.json"
        configuration.write_text(json.dumps(json.loads(configuration.read_text()) | {"threshold": 0.4}))
    elif changed == "hands":
        words += ["--size", "160"]
    elif changed == "threads":
        words += ["--threads", str(threads + 1)]
    elif changed == "machine":
        monkeypatch.setattr(script, "machine", lambda _: "another one")
    script.main(words, repository)
    times = 1 if changed == "nothing" else 2
    assert len(segmented) == times * number
    assert len(weighed) == times


@pytest.mark.parametrize("more", [["--bundles", "effisegnet"], ["--weights", "effisegnet={weights}"]])
def test_other_bundles_and_weights_are_not_published(script, own, tmp_path, more):
    weights = own / "bundles" / "effisegnet" / "models" / "model.pt"
    words = ["--publish", "--output", str(tmp_path), *(word.format(weights=weights) for word in more)]
    with pytest.raises(HandsegInputError, match="--publish: is for the repository's own bundles"):
        script.main(words, own)
    assert not list(tmp_path.iterdir())


def test_an_ensemble_of_other_bundles_is_not_published(script, own, tmp_path, monkeypatch):
    """Members go by names, and these may mean bundles elsewhere."""
    repository = tmp_path / "repository"
    shutil.copytree(own, repository)
    selection = {
        "members": [{"name": "one", "bundle": "effisegnet", "weights": "models/model.pt"}],
        "combine": "probabilities",
        "bone_weights": {"one": [1.0] * NUM_BONES},
        "thresholds": dict.fromkeys(BONE_NAMES, 0.5),
        "calibration": {bone: [1.0, 0.0] for bone in BONE_NAMES},
    }
    monkeypatch.setenv("HANDSEG_BUNDLES", str(own / "bundles"))
    write_ensemble_bundle(selection, repository / "bundles" / "ensemble")
    with pytest.raises(HandsegInputError, match=r"ensemble: has the member .*effisegnet, which is not the repository"):
        script.main(["--publish", "--output", str(tmp_path / "output")], repository)


def test_without_any_weights_there_is_no_benchmark(script, own, tmp_path):
    with pytest.raises(HandsegInputError, match="have no weights at all; train one, or name files with --weights"):
        script.main(["--bundles", str(own / "bundles" / "empty"), "--output", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--count", "--size", "--robustness-count", "--threads", "--workers"])
@pytest.mark.parametrize("number", ["0", "-3", "1.5", "many"])
def test_numbers_are_above_zero(script, own, option, number, capsys):
    with pytest.raises(SystemExit):
        script.main([f"{option}={number}"], own)
    assert f"argument {option}: '{number}' is no whole number above 0" in capsys.readouterr().err


def test_make_benchmark_is_the_command_of_the_defaults(script, repository):
    assert script._command(["--publish"]) == "make benchmark"
    assert script._command(["--count", "4"]) == "python benchmarks/accuracy --count 4"
    assert (
        "\tcommand --publish\n".replace("command", "$(BIN)/python benchmarks/accuracy")
        in (repository / "Makefile").read_text()
    )


def test_where_hands_are_kept_is_no_part_of_the_command(script):
    assert script._command(["--output", "here", "--publish", "--workers=3"]) == "make benchmark"
