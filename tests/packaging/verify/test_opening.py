"""`handseg predict` with a bundle from elsewhere: looked at first, and run only if nothing is wrong."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handseg_bundle_common.cli import main
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging import Check, open_bundle, verify_bundle
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
            source, folder = repository / "bundles" / "ensemble", tmp_path / "joined"
            shutil.copytree(source, folder, ignore=shutil.ignore_patterns("eval", "model.pt", "reference.json"))
            members = [
                {"name": "a", "bundle": str(member), "weights": "models/model.pt"},
                {"name": "b", "bundle": "segformer", "weights": "models/model.pt"},
            ]
            for name in ("inference.json", "evaluate.json"):
                edit(folder / "configs" / name, members=members, weights=None)
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

    @pytest.mark.parametrize("kind", ["folder", "archive"])
    def test_verify_looks_at_a_member_before_its_network_is_built(self, bundle, packed, edit, ensemble, kind):
        edit(bundle / "configs" / "inference.json", network_def=CANARY)
        member = bundle if kind == "folder" else packed(bundle)
        joined = ensemble(member)
        result = verify_bundle(joined)
        found = [(one.file, one.place) for one in result.findings]
        assert (f"{member}/configs/inference.json", "/network_def") in found
        assert result.exit_code == 3
        assert Check.NETWORK not in result.done
        assert not Path("ran").exists()
        assert Check.NETWORK in verify_bundle(joined, trust=True).done
        assert Path("ran").exists()  # the canary lives

    def test_verify_passes_an_ensemble_of_clean_members(self, bundle, ensemble):
        assert not verify_bundle(ensemble(bundle)).findings

    def test_a_member_among_the_results_of_the_ensemble_is_looked_at(self, bundle, edit, ensemble, tmp_path):
        hidden = tmp_path / "joined" / "eval" / "evil"
        joined = ensemble(hidden)
        edit(bundle / "configs" / "inference.json", network_def=CANARY)
        hidden.parent.mkdir()
        bundle.rename(hidden)
        assert verify_bundle(joined).exit_code == 3
        with pytest.raises(HandsegInputError, match="is refused"):
            open_bundle(str(joined))
        assert not Path("ran").exists()

    def test_a_member_in_the_folder_of_the_ensemble_but_not_among_its_members_is_looked_at(
        self, bundle, edit, ensemble, tmp_path
    ):
        joined = ensemble(tmp_path / "joined" / "docs" / "evil")
        edit(bundle / "configs" / "inference.json", network_def=CANARY)
        bundle.rename(tmp_path / "joined" / "docs" / "evil")
        with pytest.raises(HandsegInputError, match="is refused"):
            open_bundle(str(joined))

    @pytest.mark.parametrize("name", ["evaluate.json", "reference.yaml"])
    def test_members_of_every_configuration_are_looked_at(self, bundle, edit, ensemble, repository, name):
        joined = ensemble(repository / "bundles" / "effisegnet")
        (bundle / "code.py").touch()
        members = [{"name": "a", "bundle": str(bundle), "weights": "model.pt"}]
        (joined / "configs" / name).write_text(json.dumps({"members": members}))
        found = verify_bundle(joined, network=False).findings
        assert f"{bundle}/code.py" in {one.file for one in found}

    def test_weights_of_a_member_that_lie_elsewhere_are_read(self, bundle, edit, ensemble, tmp_path):
        (tmp_path / "elsewhere.pt").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
        joined = ensemble(bundle)
        member = {"name": "a", "bundle": str(bundle), "weights": str(tmp_path / "elsewhere.pt")}
        edit(joined / "configs" / "inference.json", members=[member])
        found = {(one.check, one.file) for one in verify_bundle(joined).findings}
        assert any(check is Check.WEIGHTS and file.endswith("elsewhere.pt") for check, file in found)
        with pytest.raises(HandsegInputError, match=r"has the member .*elsewhere\.pt"):
            open_bundle(str(joined))
        assert not Path("ran").exists()

    def test_an_archive_that_names_itself_as_its_member_has_an_end(self, packed, ensemble, tmp_path):
        joined = ensemble(tmp_path / "joined.zip")
        result = verify_bundle(packed(joined), network=False)
        assert result.exit_code == 0

    @pytest.mark.parametrize(
        ("part", "text"),
        [
            *(("bundle", text) for text in ("x" * 300, "~nobody-at-all/m", "\0", "\ud800")),
            *(("weights", text) for text in (f"{'x' * 300}.pt", "~nobody-at-all/m.pt", "\0.pt", "\ud800.pt")),
        ],
        ids=lambda text: ascii(text)[:20],
    )
    @pytest.mark.parametrize("trust", [False, True])
    def test_a_member_that_no_path_leads_to_is_refused(self, bundle, edit, ensemble, part, text, trust):
        joined = ensemble(bundle)
        member = {"name": "a", "bundle": str(bundle), "weights": "models/model.pt", part: text}
        for name in ("inference.json", "evaluate.json"):
            edit(joined / "configs" / name, members=[member])
        with pytest.raises(HandsegInputError) as caught:
            open_bundle(str(joined), trust=trust)
        assert "\n" not in str(caught.value)
        assert verify_bundle(joined, trust=trust).exit_code in ({3, 5} if trust else {3})

    def test_a_member_of_the_same_name_in_the_working_directory_is_looked_at(self, bundle, edit, ensemble, elsewhere):
        edit(bundle / "configs" / "inference.json", network_def=CANARY)
        bundle.rename(elsewhere / "segformer")
        with pytest.raises(HandsegInputError, match="has the member segformer, which is refused"):
            open_bundle("ensemble")
