"""A bundle as one archive: what is in it, the same bytes every time, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import handseg_bundle_common
from handseg_bundle_common import __version__
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging import Compiled, Form, export, export_bundle, verify_bundle
from handseg_bundle_common.weights import declared_digest

PACKAGE = Path(handseg_bundle_common.__file__).parent


@pytest.fixture(scope="module")
def archive(small_bundle, tmp_path_factory) -> Path:
    return export_bundle(str(small_bundle), tmp_path_factory.mktemp("exports")).path


@pytest.fixture(scope="module")
def unpacked(archive, tmp_path_factory) -> Path:
    """The bundle's folder in an empty one."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    (root,) = folder.iterdir()
    return root


def read_json(path: Path):
    return json.loads(path.read_text())


def changed(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**read_json(path), **values}))


class TestContents:
    """What lies in the archive."""

    def test_it_is_named_by_name_and_version_and_holds_one_folder(self, archive, unpacked):
        assert (archive.name, unpacked.name) == ("small-0.1.0.zip", "small")

    def test_the_package_is_there_under_its_own_name_and_unchanged(self, unpacked):
        for path in PACKAGE.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert (unpacked / PACKAGE.name / path.relative_to(PACKAGE)).read_bytes() == path.read_bytes()
        assert not list(unpacked.rglob("__pycache__"))

    def test_every_file_has_its_digest(self, unpacked):
        listed = read_json(unpacked / "configs" / "checksums.json")["files"]
        files = {path.relative_to(unpacked).as_posix(): path for path in unpacked.rglob("*") if path.is_file()}
        del files["configs/checksums.json"]
        assert listed == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}

    def test_licence_notice_weights_and_page_are_there(self, unpacked, small_bundle):
        for name in ("LICENSE", "NOTICE", "models/model.pt", "models/README.md", "configs/logging.conf"):
            assert (unpacked / name).read_bytes() == (small_bundle / name).read_bytes()
        page = (unpacked / "docs" / "README.md").read_text()
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page)
        assert not [link for link in links if not (unpacked / "docs" / link).exists()]

    def test_the_metadata_names_weights_and_the_package(self, unpacked):
        assert read_json(unpacked / "configs" / "metadata.json")["exported_with"] == {PACKAGE.name: __version__}
        digest = hashlib.sha256((unpacked / "models" / "model.pt").read_bytes()).hexdigest()
        assert declared_digest(unpacked / "models" / "model.pt") == digest

    def test_no_path_of_this_machine_is_told(self, unpacked, small_bundle, repository):
        for path in unpacked.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert str(repository).encode() not in content
                assert str(small_bundle.parent).encode() not in content

    def test_it_is_clean_to_whoever_verifies_it(self, archive, tmp_path, monkeypatch):
        monkeypatch.setenv("HANDSEG_CACHE", str(tmp_path))
        result = verify_bundle(archive, network=False)
        assert not result.refused, result.text()


class TestSameBytes:
    """Identical inputs give identical archives."""

    def test_from_another_folder_and_another_process(self, archive, small_bundle, tmp_path):
        """A copy with new time stamps and permissions, other hashes, another working directory."""
        copy = shutil.copytree(small_bundle, tmp_path / "elsewhere", copy_function=shutil.copyfile)
        (copy / "configs" / "train.json").chmod(0o600)
        (copy / "eval").mkdir()
        (copy / "eval" / "scores.csv").write_text("not a part of the bundle")
        for name in (".DS_Store", ".handseg-0-1-x-README.md", "README.md~"):
            (copy / "docs" / name).write_text("left behind by an editor or a killed process")
        command = [sys.executable, "-m", "handseg_bundle_common.cli", "export", str(copy), "--output", "out"]
        environment = os.environ | {"PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONUTF8": "0"}
        subprocess.run(command, cwd=tmp_path, env=environment, umask=0o077, check=True, capture_output=True)  # noqa: S603
        assert (tmp_path / "out" / archive.name).read_bytes() == archive.read_bytes()

    def test_from_the_exported_bundle_itself(self, archive, unpacked, tmp_path):
        """Also after it was run in its folder, where Python leaves compiled files and runs their results."""
        used = shutil.copytree(unpacked, tmp_path / "used")
        for name in (f"{PACKAGE.name}/__pycache__/errors.cpython-311.pyc", "eval/predictions/predictions.csv"):
            (used / name).parent.mkdir(parents=True)
            (used / name).write_bytes(b"left behind")
        for bundle in (unpacked, used):
            assert export_bundle(str(bundle), tmp_path).path.read_bytes() == archive.read_bytes()


class TestForms:
    """Networks in other forms beside the weights."""

    def test_they_are_listed_with_their_digests(self, small_bundle, tmp_path, monkeypatch):
        """What is compiled and how is tested in `test_compiled.py`."""

        def compiled(root: Path, wanted: list[Form], folder: Path) -> list[Compiled]:
            (folder / "model.ts").write_bytes(b"script")
            return [Compiled(form, folder / "model.ts", "scripting", None, 0.0) for form in wanted]

        monkeypatch.setattr(export, "compile_network", compiled)
        done = export_bundle(str(small_bundle), tmp_path, [Form.TORCHSCRIPT])
        assert [made.form for made in done.compiled] == [Form.TORCHSCRIPT]
        with zipfile.ZipFile(done.path) as packed:
            metadata = json.loads(packed.read("small/configs/metadata.json"))
            content = packed.read("small/models/model.ts")
            digests = json.loads(packed.read("small/configs/checksums.json"))["files"]
        entry = metadata["compiled"]["models/model.ts"]
        assert entry["sha256"] == digests["models/model.ts"] == hashlib.sha256(content).hexdigest()
        assert (entry["made_by"], entry["input_shape"]) == ("scripting", [-1, 1, -1, -1])

    def test_not_for_an_ensemble(self, tmp_path):
        message = r"ensemble: cannot be compiled \(--pt2, --onnx\).*; export the bundles of its members"
        with pytest.raises(HandsegInputError, match=message):
            export_bundle("ensemble", tmp_path, [Form.ONNX, Form.PT2])
        assert not list(tmp_path.iterdir())


class TestEnsemble:
    """Members are embedded, wherever they come from."""

    @pytest.fixture
    def ensemble(self, repository, archive, tmp_path, monkeypatch):
        """An ensemble of a verified archive alone, whose page tells where the member lies."""
        monkeypatch.setenv("HANDSEG_CACHE", str(tmp_path / "cache"))
        root = shutil.copytree(repository / "bundles" / "ensemble", tmp_path / "ours")
        (root / "models" / "model.pt").unlink()
        changed(root / "configs" / "metadata.json", name="ours", weights={})
        member = {"name": "first", "bundle": str(archive), "weights": "models/model.pt"}
        for name in ("inference.json", "evaluate.json"):
            changed(root / "configs" / name, members=[member], weights=None, bundle_root=str(root))
        return root

    def test_an_archive_that_nobody_has_verified_is_refused(self, ensemble, tmp_path):
        with pytest.raises(HandsegInputError, match=r"small-0\.1\.0\.zip: has not been verified"):
            export_bundle(str(ensemble), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_verified_archive_lies_in_the_ensemble_with_its_weights(self, ensemble, archive, unpacked, tmp_path):
        verify_bundle(archive, network=False)
        done = export_bundle(str(ensemble), tmp_path / "out")
        with zipfile.ZipFile(done.path) as packed:
            packed.extractall(tmp_path / "there")
        root = tmp_path / "there" / "ours"
        member = root / "models" / "members" / "first"
        assert (member / "models" / "model.pt").read_bytes() == (unpacked / "models" / "model.pt").read_bytes()
        for name in ("inference.json", "evaluate.json"):
            config = read_json(root / "configs" / name)
            assert config["members"][0]["bundle"] == "$@bundle_root + '/models/members/first'"
            assert str(tmp_path) not in json.dumps(config)
        assert not (root / "configs" / "reference.json").exists()
        assert not (member / PACKAGE.name).exists()
        digests = read_json(root / "configs" / "checksums.json")["files"]
        assert "models/members/first/configs/metadata.json" in digests


class TestRefusals:
    """What is not exported, in one sentence, with nothing written."""

    @pytest.fixture
    def bundle(self, small_bundle, tmp_path):
        return shutil.copytree(small_bundle, tmp_path / "bundle")

    @pytest.mark.parametrize("place", [".", "docs", "docs/shared", "models/.."])
    def test_an_output_within_the_bundle(self, bundle, monkeypatch, place):
        """The next archive would hold this one."""
        monkeypatch.chdir(bundle)
        for output in (place, bundle / place):
            with pytest.raises(HandsegInputError, match="lies in what is exported; choose an --output outside"):
                export_bundle(str(bundle), output)
        with pytest.raises(HandsegInputError, match="lies in what is exported"):
            export_bundle(str(bundle), PACKAGE / "new")
        assert not list(bundle.rglob("*.zip"))
        assert not (PACKAGE / "new").exists()

    def test_a_full_disk(self, bundle, tmp_path):
        """The archive before stays whole, and the export afterwards gives the same one."""
        before = export_bundle(str(bundle), tmp_path / "out").path.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        try:
            with pytest.raises(HandsegInputError, match=r"small-0\.1\.0\.zip: cannot be written .*free space"):
                export_bundle(str(bundle), tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        (archive,) = (tmp_path / "out").iterdir()
        assert archive.read_bytes() == before
        assert export_bundle(str(bundle), tmp_path / "out").path.read_bytes() == before

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda root: (root / "NOTICE").unlink(), "lacks NOTICE"),
            (lambda root: (root / "models" / "model.pt").unlink(), r"model\.pt: is missing"),
            (lambda root: (root / "models" / "model.pt").write_bytes(b"PK"), r"model\.pt: does not have the SHA-256"),
            (lambda root: changed(root / "configs" / "metadata.json", weights={}), "has no models/model.pt"),
            (lambda root: changed(root / "configs" / "metadata.json", version="9"), "its changelog says nothing"),
            (lambda root: changed(root / "configs" / "metadata.json", name="../up"), r"name or version '\.\./up'"),
            (lambda root: changed(root / "configs" / "inference.json", network_def={"_target_": "no.Net"}), "no.Net"),
        ],
    )
    def test_a_bundle_that_would_not_run(self, bundle, tmp_path, damage, message):
        damage(bundle)
        with pytest.raises(HandsegInputError, match=message):
            export_bundle(str(bundle), tmp_path / "out")
        assert not list((tmp_path / "out").glob("*"))
