"""The whole benchmark with a random small network on a few small hands."""

from __future__ import annotations

import pytest
import torch

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

README = "before\n<!-- benchmark -->\nnothing\n<!-- /benchmark -->\nafter\n"


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Command line for three hands of 192 px, one of which goes through all variants."""
    pytest.importorskip("numba")
    folder = tmp_path_factory.mktemp("benchmark")
    torch.manual_seed(0)
    weights = folder / "model.pt"
    save_weights(EffiSegNet(decoder_channels=16), weights, settings={"image_size": 64, "decoder_channels": 16})
    small = ["--count", "2", "--size", "192", "--robustness-count", "1", "--device", "cpu", "--workers", "1"]
    empty = folder / "empty"  # a bundle without weights
    return [*small, "--weights", f"effisegnet={weights}", "--output", str(folder / "output")], empty


@pytest.fixture
def bundles(options, repository):
    """Two bundles, the second of which has no weights."""
    _, empty = options
    (empty / "configs").mkdir(parents=True, exist_ok=True)
    for name in ("inference.json", "metadata.json"):
        source = repository / "bundles" / "segformer" / "configs" / name
        (empty / "configs" / name).write_bytes(source.read_bytes())
    return ["--bundles", f"effisegnet,{empty}"]


@pytest.fixture
def weighed(script, monkeypatch):
    """Stand in for the process that is weighed, and count."""
    calls = []

    def weigh(contestant, *_):
        calls.append(contestant.name)
        return script.Peak(1.25, 0.0)

    monkeypatch.setattr(script, "weigh", weigh)
    return calls


def test_a_page_with_figures_tells_everything(script, options, bundles, weighed, tmp_path, capsys, monkeypatch):
    (tmp_path / "README.md").write_text(README)
    words = [*options[0], *bundles, "--publish"]
    script.main(words, tmp_path)
    page = (tmp_path / "docs" / "benchmark.md").read_text()
    readme = (tmp_path / "README.md").read_text()
    for text in (page, readme):
        assert "python benchmarks/accuracy --count 2" in text
        assert f"PyTorch {torch.__version__}" in text
        assert "| effisegnet | 0." in text
        assert "| empty | no weights |" in text
    assert "- `empty`: no weights of `empty`" in page
    assert all(f"| {variant.name} | 0." in page for variant in script.VARIANTS)
    assert readme.startswith("before\n<!-- benchmark -->\nMade by")
    assert readme.endswith("\n<!-- /benchmark -->\nafter\n")
    pictures = tmp_path / "docs" / "pictures" / "benchmark"
    assert sorted(path.name for path in pictures.iterdir()) == ["accuracy.png", "bones.png", "robustness.png"]
    assert "empty is not measured: no weights of empty" in capsys.readouterr().err

    # Again: nothing is segmented or weighed twice, and the page is the same.
    monkeypatch.setattr(script, "segment", lambda *_: pytest.fail("segmented twice"))
    monkeypatch.setattr(script, "draw", lambda *_: None)
    script.main(words, tmp_path)
    assert (tmp_path / "docs" / "benchmark.md").read_text() == page
    assert weighed == ["effisegnet"]


def test_an_interrupted_run_goes_on(script, options, weighed, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "draw", lambda *_: None)
    monkeypatch.setattr(script, "VARIANTS", script.VARIANTS[:2])
    output = ["--output", str(tmp_path / "output"), "--bundles", "effisegnet"]
    segment, done = script.segment, []

    def interrupted(predictor, task):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task.key)
        return segment(predictor, task)

    monkeypatch.setattr(script, "segment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        script.main([*options[0], *output])
    first = done.copy()
    done.clear()
    monkeypatch.setattr(script, "segment", lambda *given: (done.append(given[1].key), segment(*given))[1])
    script.main([*options[0], *output])
    assert not set(first) & set(done)
    assert len(first) + len(done) == 3 + len(script.VARIANTS)
    assert (tmp_path / "output" / "benchmark.md").exists()


def test_without_any_weights_there_is_no_benchmark(script, options, bundles, tmp_path):
    _, empty = options
    with pytest.raises(HandsegInputError, match="have no weights at all; train one, or name files with --weights"):
        script.main(["--bundles", str(empty), "--output", str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_make_benchmark_is_the_command_of_the_defaults(script, repository):
    assert script._command(["--publish"]) == "make benchmark"
    assert script._command(["--count", "4"]) == "python benchmarks/accuracy --count 4"
    assert (
        "\tcommand --publish\n".replace("command", "$(BIN)/python benchmarks/accuracy")
        in (repository / "Makefile").read_text()
    )
