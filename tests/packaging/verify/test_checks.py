"""Verification as a whole: order, outcome, JSON, trust, and where a clean archive goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from handseg_bundle_common.cli import main
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging import verify_bundle
from handseg_bundle_common.packaging.verify.findings import Check, Finding, Severity, Verification
from handseg_bundle_common.weights import find_bundle

Edit = Callable[..., None]
Pack = Callable[[Path], Path]


def finding(check: Check, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(check, severity, "a.json", "/b", "is wrong", "mend it")


@pytest.mark.parametrize(
    ("checks", "trust", "code"),
    [
        ([], False, 0),
        ([Check.NETWORK], False, 5),
        ([Check.IDS, Check.NETWORK], False, 4),
        ([Check.LICENCE], True, 4),
        ([Check.SCAN, Check.IDS], False, 3),
        ([Check.SCAN, Check.IDS], True, 4),
        ([Check.CODE, Check.SCAN], True, 0),
        ([Check.CHECKSUMS], True, 3),
        ([Check.WEIGHTS], True, 3),
        ([Check.FILES], True, 3),
        ([Check.ARCHIVE], True, 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst_error_that_is_not_trusted(
    checks: list[Check], trust: bool, code: int
) -> None:
    result = Verification("x", tuple(Check), tuple(map(finding, checks)), trust)
    assert result.exit_code == code
    assert ("TRUSTED" in result.text()) == bool(trust and {Check.CODE, Check.SCAN} & set(checks))


def test_warnings_and_notes_refuse_nothing() -> None:
    found = finding(Check.SCAN, Severity.WARNING), finding(Check.FILES, Severity.NOTE)
    assert Verification("x", tuple(Check), found).exit_code == 0


def test_a_finding_is_one_line_whatever_its_file_is_called() -> None:
    found = Finding(Check.ARCHIVE, Severity.ERROR, "a\nb\udcff\x1b[2J", "", "is wrong", "mend it")
    assert found.sentence.isprintable()


def test_json_says_what_the_text_says(bundle: Path, edit: Edit, capsys: pytest.CaptureFixture[str]) -> None:
    edit(bundle / "configs" / "train.json", x="$import os")
    assert main(["verify", str(bundle), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 3
    assert document["checks"] == [check for check in Check if check not in (Check.ARCHIVE, Check.NETWORK)]
    (found,) = document["findings"]
    assert (found["check"], found["severity"], found["file"], found["place"]) == (
        "configurations",
        "error",
        "configs/train.json",
        "/x",
    )
    assert main(["verify", str(bundle)]) == 3
    text = capsys.readouterr().out
    assert found["sentence"] in text
    assert "Refused: do not run it." in text


def test_trust_goes_on_past_the_scan_and_says_so(bundle: Path, edit: Edit, capsys: pytest.CaptureFixture[str]) -> None:
    edit(bundle / "configs" / "train.json", x="$import os")
    assert main(["verify", str(bundle), "--trust"]) == 0
    text = capsys.readouterr().out
    assert "TRUSTED: 1 error passed over. Running this bundle can run code of its own." in text
    assert "network        ok" in text


@pytest.mark.parametrize("name", ["nothing-of-that-name", "", "/"])
def test_what_is_no_bundle_is_told_in_one_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", name]) == 2
    assert "is no bundle" in capsys.readouterr().err


class TestArchives:
    """A clean archive becomes a folder of its own, and is found there by its path."""

    def test_it_is_found_only_when_it_has_been_verified(self, bundle, packed, cache):
        path = packed(bundle)
        with pytest.raises(HandsegInputError, match=r"has not been verified; run handseg verify .*copy\.zip first"):
            find_bundle(str(path))
        result = verify_bundle(path, network=False)
        assert result.exit_code == 0
        assert result.folder == find_bundle(str(path))
        folder = Path(result.folder)
        assert folder.parent == cache / "bundles"
        assert (folder / "models" / "model.pt").read_bytes() == (bundle / "models" / "model.pt").read_bytes()
        assert list((cache / "bundles").iterdir()) == [folder]

    def test_its_network_is_run_too(self, bundle, packed):
        assert Check.NETWORK in verify_bundle(packed(bundle)).done

    def test_a_second_time_the_folder_stays(self, bundle, packed):
        first = Path(verify_bundle(packed(bundle), network=False).folder)
        written = (first / "LICENSE").stat()
        again = Path(verify_bundle(packed(bundle), network=False).folder)
        assert (again / "LICENSE").stat().st_ino == written.st_ino

    def test_a_folder_that_has_been_changed_is_replaced(self, bundle, packed, cache):
        folder = Path(verify_bundle(packed(bundle), network=False).folder)
        (folder / "configs" / "inference.json").write_text("{}")
        (folder / "scripts.py").touch()
        assert verify_bundle(packed(bundle), network=False).folder == str(folder)
        assert (folder / "configs" / "inference.json").read_bytes() == (
            bundle / "configs" / "inference.json"
        ).read_bytes()
        assert not (folder / "scripts.py").exists()
        assert list((cache / "bundles").iterdir()) == [folder]

    def test_one_that_is_refused_leaves_nothing(self, bundle, edit, packed, cache):
        edit(bundle / "configs" / "train.json", x="$import os")
        path = packed(bundle)
        result = verify_bundle(path)
        assert (result.exit_code, result.folder) == (3, None)
        assert not list((cache / "bundles").iterdir())
        assert verify_bundle(path, trust=True, network=False).folder

    def test_results_of_runs_which_are_not_scanned_are_no_part_of_it(self, bundle, packed, cache):
        hidden = bundle / "eval" / "evil" / "configs" / "inference.json"
        hidden.parent.mkdir(parents=True)
        hidden.write_text('{"network_def": "$__import__(\'os\')"}')
        result = verify_bundle(packed(bundle))
        assert (result.exit_code, result.folder) == (3, None)
        assert not list((cache / "bundles").iterdir())

    def test_a_cache_that_cannot_be_written_to_is_told(self, bundle, packed, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("HANDSEG_CACHE", str(tmp_path / "file"))
        with pytest.raises(HandsegInputError, match="cannot be written"):
            verify_bundle(packed(bundle))

    def test_a_full_disk_leaves_nothing(self, bundle, packed, cache, full_disk):
        path = packed(bundle)
        with full_disk(2**20), pytest.raises(HandsegInputError, match=r"cannot be unpacked .*make room"):
            verify_bundle(path)
        assert not list((cache / "bundles").iterdir())
