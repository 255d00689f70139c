"""`handseg predict` with a bundle from elsewhere: looked at first, and run only if nothing is wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from handseg_bundle_common.cli import main
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging import open_bundle
from handseg_bundle_common.packaging.verify import opening
from handseg_bundle_common.weights import find_bundle

Edit = Callable[..., None]
Pack = Callable[[Path], Path]
CANARY = "$__import__('os').mkdir('ran')"


@pytest.fixture
def image(sample_data: Path) -> str:
    return str(sorted(sample_data.glob("DCM/*/*.png"))[0])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which a canary would be seen."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_an_archive_predicts_what_its_folder_predicts(bundle: Path, packed: Pack, image: str) -> None:
    for name, source in (("folder", bundle), ("archive", packed(bundle)), ("own", "effisegnet")):
        assert main(["predict", image, "--bundle", str(source), "--output", name, "--device", "cpu"]) == 0
    masks = [Path(name, "predictions.csv").read_bytes() for name in ("folder", "archive", "own")]
    assert masks[0] == masks[1] == masks[2]
    origin = json.loads(Path("archive", "prediction.json").read_text())
    assert origin["bundle"] == find_bundle(str(packed(bundle)))


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_canary_is_not_run(
    bundle: Path, edit: Edit, packed: Pack, image: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(bundle / "configs" / "inference.json", threshold=CANARY)
    source = bundle if kind == "folder" else packed(bundle)
    assert main(["predict", image, "--bundle", str(source), "--output", "out", "--device", "cpu"]) == 2
    message = capsys.readouterr().err
    assert "is refused: configs/inference.json at /threshold" in message
    assert f"handseg verify {source}" in message
    assert not Path("ran").exists()
    assert not Path("out").exists()


def test_trust_runs_it_with_a_warning(bundle: Path, edit: Edit, caplog: pytest.LogCaptureFixture) -> None:
    edit(bundle / "configs" / "inference.json", threshold=CANARY)
    with caplog.at_level(logging.WARNING):
        assert open_bundle(str(bundle), trust=True) == str(bundle)
    assert "TRUSTED" in caplog.text


def test_a_folder_that_is_not_complete_is_left_to_what_runs_it(bundle: Path) -> None:
    (bundle / "LICENSE").unlink()
    (bundle / "configs" / "train.json").unlink()
    assert open_bundle(str(bundle)) == str(bundle)


def test_bundles_of_the_shelves_are_not_looked_at(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.setattr(opening, "verify_safety", lambda *arguments, **options: pytest.fail("was looked at"))
    for name in ("effisegnet", "ensemble"):
        assert open_bundle(name) == str(repository / "bundles" / name)
    assert open_bundle(str(repository / "bundles" / "segformer")) == str(repository / "bundles" / "segformer")


class TestMembers:
    """An ensemble is as safe as its members."""

    @pytest.fixture
    def ensemble(self, repository, tmp_path, edit):
        def make(member: Path) -> Path:
            folder = tmp_path / "joined"
            (folder / "configs").mkdir(parents=True)
            source = repository / "bundles" / "ensemble" / "configs"
            for name in ("metadata.json", "inference.json"):
                (folder / "configs" / name).write_bytes((source / name).read_bytes())
            members = [
                {"name": "a", "bundle": str(member), "weights": "models/model.pt"},
                {"name": "b", "bundle": "segformer", "weights": "models/model.pt"},
            ]
            edit(folder / "configs" / "inference.json", members=members, weights=None)
            edit(folder / "configs" / "metadata.json", "weights")
            return folder

        return make

    @pytest.mark.parametrize("kind", ["folder", "archive"])
    def test_clean_members_take_part(self, bundle, packed, ensemble, kind, image):
        member = bundle if kind == "folder" else packed(bundle)
        joined = str(ensemble(member))
        assert main(["predict", image, "--bundle", joined, "--output", "out", "--device", "cpu"]) == 0
        assert json.loads(Path("out", "prediction.json").read_text())["took_part"] == ["a", "b"]

    @pytest.mark.parametrize("kind", ["folder", "archive"])
    def test_a_member_with_a_canary_is_refused(self, bundle, packed, edit, ensemble, kind):
        edit(bundle / "configs" / "inference.json", network_def=CANARY)
        member = bundle if kind == "folder" else packed(bundle)
        with pytest.raises(HandsegInputError, match=rf"has the member {member}, which is refused: .*/network_def"):
            open_bundle(str(ensemble(member)))
        assert not Path("ran").exists()

    def test_a_member_of_the_same_name_in_the_working_directory_is_looked_at(self, bundle, edit, ensemble, elsewhere):
        edit(bundle / "configs" / "inference.json", network_def=CANARY)
        bundle.rename(elsewhere / "segformer")
        with pytest.raises(HandsegInputError, match="has the member segformer, which is refused"):
            open_bundle("ensemble")
