"""What a bundle says of itself: every rule broken once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.packaging.verify.checks import verify_bundle
from handseg_bundle_common.packaging.verify.contents import bundle_files
from handseg_bundle_common.packaging.verify.declared import CHECKSUMS, REQUIRED_IDS, checksum_findings, has_id
from handseg_bundle_common.packaging.verify.findings import Check, Verification

Edit = Callable[..., None]
METADATA = "configs/metadata.json"


def verified(bundle: Path) -> Verification:
    return verify_bundle(bundle, network=False)


def found(bundle: Path) -> list[tuple[Check, str, str]]:
    return [(one.check, one.file, one.place) for one in verified(bundle).findings]


def write_checksums(bundle: Path) -> dict[str, str]:
    sums = {name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in bundle_files(bundle)}
    (bundle / CHECKSUMS).write_text(json.dumps({"files": sums}))
    return sums


class Canary:
    """Makes a folder when a loader is careless enough to unpickle it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("content", [None, b"", b" \n"])
def test_a_bundle_has_a_licence(bundle: Path, content: bytes | None) -> None:
    (bundle / "LICENSE").unlink()
    if content is not None:
        (bundle / "LICENSE").write_bytes(content)
    assert found(bundle) == [(Check.LICENCE, "LICENSE", "")]
    assert verified(bundle).exit_code == 4


REQUIRED = [
    *("schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
    *("required_packages_version", "task", "description", "authors", "copyright"),
]


@pytest.mark.parametrize("key", REQUIRED)
def test_metadata_lacks_nothing(bundle: Path, edit: Edit, key: str) -> None:
    edit(bundle / METADATA, key)
    assert found(bundle) == [(Check.METADATA, METADATA, "")]
    assert key in verified(bundle).findings[0].problem


def test_the_older_name_of_required_packages_is_accepted(bundle: Path, edit: Edit) -> None:
    edit(bundle / METADATA, "required_packages_version", optional_packages_version={"fire": "0.7.1"})
    assert not found(bundle)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"version": "new"}, "/version"),
    "changelog": ({"changelog": {"0.0.9": "older"}}, "/changelog"),
    "packages": ({"required_packages_version": {"fire": 1}}, "/required_packages_version/fire"),
    "metrics": ({"eval_metrics": {"dice": "good"}}, "/eval_metrics/dice"),
    "authors": ({"authors": ["me"]}, "/authors"),
}


@pytest.mark.parametrize("case", WRONG)
def test_metadata_follows_the_rules(bundle: Path, edit: Edit, case: str) -> None:
    changes, place = WRONG[case]
    edit(bundle / METADATA, **changes)
    assert found(bundle) == [(Check.METADATA, METADATA, place)]


@pytest.mark.parametrize("key", ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"])
def test_tensors_are_described_in_full(bundle: Path, edit: Edit, key: str) -> None:
    formats = json.loads((bundle / METADATA).read_text())["network_data_format"]
    del formats["inputs"]["image"][key]
    edit(bundle / METADATA, network_data_format=formats)
    assert found(bundle) == [(Check.METADATA, METADATA, "/network_data_format/inputs/image")]


CLASSES: dict[str, tuple[Callable[[dict[str, str]], object], str]] = {
    "swapped": (lambda classes: classes.update({"0": BONE_NAMES[1], "1": BONE_NAMES[0]}), "in channel 0"),
    "missing": (lambda classes: classes.pop("28"), "None instead of 'Ulna' in channel 28"),
    "added": (lambda classes: classes.update({"29": "Sesamoid"}), "30 channels instead of 29"),
}


@pytest.mark.parametrize("case", CLASSES)
def test_classes_are_the_bones_in_their_order(bundle: Path, edit: Edit, case: str) -> None:
    change, problem = CLASSES[case]
    formats = json.loads((bundle / METADATA).read_text())["network_data_format"]
    change(formats["outputs"]["pred"]["channel_def"])
    edit(bundle / METADATA, network_data_format=formats)
    (finding,) = verified(bundle).findings
    assert finding.check is Check.CLASSES
    assert problem in finding.problem


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in REQUIRED_IDS for key in ("run", "device")])
def test_ids_that_others_ask_for_are_there(bundle: Path, edit: Edit, name: str, key: str) -> None:
    edit(bundle / "configs" / name, key)
    expected = {(name, key)}
    if name == "evaluate.json":
        expected = set()  # laid over train.json, which has them
    elif (name, key) == ("train.json", "device"):
        expected |= {("evaluate.json", key)}
    result = verified(bundle)
    assert {(one.check, one.file, one.problem) for one in result.findings} == {
        (Check.IDS, f"configs/{file}", f"does not define {missing}") for file, missing in expected
    }
    assert result.exit_code == (4 if expected else 0)


@pytest.mark.parametrize("name", REQUIRED_IDS)
def test_configurations_are_there(bundle: Path, name: str) -> None:
    (bundle / "configs" / name).unlink()
    assert (Check.IDS, f"configs/{name}", "") in found(bundle)


def test_an_ensemble_is_not_trained(repository: Path) -> None:
    assert not (repository / "bundles" / "ensemble" / "configs" / "train.json").exists()
    assert not found(repository / "bundles" / "ensemble")


def test_ids_are_found_within_objects_and_as_paths() -> None:
    config = {"a": {"b": {"c": 1}}, "d#e": 2, "+f": [], "g::h": 3}
    assert all(has_id(config, identifier) for identifier in ("a", "a#b", "a#b#c", "d#e", "f", "g#h"))
    assert not any(has_id(config, identifier) for identifier in ("b", "a#c", "a#b#c#d", "d", "h"))


class TestChecksums:
    """Every file is the one that was packed."""

    def test_a_complete_list_is_clean(self, bundle):
        write_checksums(bundle)
        assert not checksum_findings(bundle, archive=True)

    @pytest.mark.parametrize("name", ["LICENSE", "configs/train.json", "docs/README.md", "models/model.pt"])
    def test_a_changed_file_is_named_with_the_sum_that_is_expected(self, bundle, name):
        sums = write_checksums(bundle)
        with (bundle / name).open("ab") as file:
            file.write(b" ")
        result = verified(bundle)
        assert result.exit_code == 3
        assert name in {one.file for one in result.findings}
        assert sums[name] in result.text()

    def test_files_are_neither_added_nor_taken_away(self, bundle):
        write_checksums(bundle)
        (bundle / "docs" / "more.md").touch()
        (bundle / "NOTICE").unlink()
        assert {(one.file, one.check) for one in verified(bundle).findings} == {
            ("docs/more.md", Check.CHECKSUMS),
            ("NOTICE", Check.CHECKSUMS),
        }

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": {"LICENSE": 3}}'])
    def test_a_list_that_cannot_be_used_is_an_error(self, bundle, text):
        (bundle / CHECKSUMS).write_text(text)
        assert Check.CHECKSUMS in {one.check for one in verified(bundle).refused}

    def test_weights_are_those_of_the_metadata(self, bundle):
        digest = json.loads((bundle / METADATA).read_text())["weights"]["models/model.pt"]["sha256"]
        torch.save({"model": {"x": torch.ones(1)}}, bundle / "models" / "model.pt")
        result = verified(bundle)
        assert {(one.file, one.check) for one in result.findings} == {
            ("models/model.pt", Check.CHECKSUMS),
            ("models/model.pt", Check.WEIGHTS),
        }
        assert all(digest in one.problem for one in result.findings)

    @pytest.mark.parametrize(
        "name",
        [
            "\0x.pt",
            "models/\0.pt",
            "\ud800/a.pt",
            "x" * 300,
            f"models/{'x' * 300}.pt",
            "",
            "../a.pt",
            "/a.pt",
            "~no/a.pt",
        ],
        ids=["NUL", "NUL below", "half a sign", "long", "long part", "empty", "upwards", "absolute", "home"],
    )
    def test_weights_have_names_of_files(self, bundle, edit, name):
        weights = json.loads((bundle / METADATA).read_text())["weights"]
        edit(bundle / METADATA, weights={**weights, name: weights["models/model.pt"]})
        (finding,) = checksum_findings(bundle, archive=False)
        assert (finding.check, finding.file) == (Check.CHECKSUMS, name)
        assert verified(bundle).exit_code == 3

    def test_weights_in_an_archive_have_a_digest(self, bundle, edit):
        edit(bundle / METADATA, "weights")
        assert not found(bundle)
        assert [one.file for one in checksum_findings(bundle, archive=True)] == [CHECKSUMS, "models/model.pt"][::-1]


def test_weights_that_hold_code_are_refused_and_not_run(bundle: Path, edit: Edit, tmp_path: Path) -> None:
    edit(bundle / METADATA, "weights")
    torch.save({"model": {"x": torch.ones(1)}, "y": Canary(tmp_path / "ran")}, bundle / "models" / "other.pt")
    (finding,) = verified(bundle).findings
    assert (finding.check, finding.file) == (Check.WEIGHTS, "models/other.pt")
    assert "mkdir, which could run code" in finding.problem
    assert not (tmp_path / "ran").exists()
