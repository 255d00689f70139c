"""Exported bundles where this repository is not: the same masks, and never two packages in one process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from handseg_bundle_common import __version__
from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.packaging import export_bundle

BUNDLES = ("effisegnet", "ensemble", "segformer", "swin_unetr", "unetplusplus")
OTHER_VERSION = "9.9.9"

RUN_SEVERAL = """
import sys
from monai.bundle import run
for name in sys.argv[2:]:
    config = f"{name}/configs/inference.json"
    run("inferring", config_file=config, data_dir=sys.argv[1], output_dir=f"{name}/out", num_workers=0, device="cpu")
    import handseg_bundle_common
    print("ran", name, handseg_bundle_common.__file__, handseg_bundle_common.__version__)
"""


@pytest.fixture(scope="module")
def pictures(sample_data, tmp_path_factory) -> Path:
    """Two radiographs of the user's own."""
    folder = tmp_path_factory.mktemp("pictures")
    for path in sorted((sample_data / "DCM").rglob("*.png"))[:2]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module", params=BUNDLES)
def each(request, tmp_path_factory) -> Path:
    """Every bundle in turn, exported and unpacked into an empty folder."""
    return unpacked(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """The bundle `effisegnet`, exported and unpacked into an empty folder."""
    return unpacked("effisegnet", tmp_path_factory.mktemp("exported"))


def unpacked(bundle: str, folder: Path) -> Path:
    with zipfile.ZipFile(export_bundle(bundle, folder / "archive").path) as archive:
        archive.extractall(folder / "bundle")
    return folder / "bundle" / bundle


def start(python: Path, words: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with nothing in the environment that would lead to the repository."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HANDSEG"))}
    command = [str(word) for word in (python, *words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def test_the_environment_knows_nothing_of_handseg(bare_python, repository, tmp_path):
    result = start(bare_python, ["-c", "import monai.bundle, handseg_bundle_common"], tmp_path)
    assert "No module named 'handseg_bundle_common'" in result.stderr
    for path in (
        repository / "handseg_bundle_common" / "__init__.py",
        repository / "bundles" / "effisegnet" / "LICENSE",
    ):
        result = start(bare_python, ["-I", "-c", f"open({str(path)!r})"], tmp_path)
        assert "is hidden" in result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_masks_are_those_of_the_repository(each, bare_python, repository, pictures, tmp_path):
    """Every table and every overlay, byte for byte; of the ensemble, also where its embedded members part."""
    (tmp_path / "anywhere").mkdir()
    words = ["-I", "-m", "monai.bundle", "run", "inferring", "--config_file", each / "configs" / "inference.json"]
    words += ["--data_dir", pictures, "--output_dir", tmp_path / "there", "--num_workers", 0, "--device", "cpu"]
    result = start(bare_python, words, tmp_path / "anywhere")
    assert result.returncode == 0, result.stderr
    assert not list((tmp_path / "anywhere").iterdir())

    from monai.bundle import run  # noqa: PLC0415

    config = str(repository / "bundles" / each.name / "configs" / "inference.json")
    settings = {"data_dir": str(pictures), "output_dir": str(tmp_path / "here"), "num_workers": 0, "device": "cpu"}
    run("inferring", config_file=config, **settings)
    there, here = contents(tmp_path / "there"), contents(tmp_path / "here")
    assert len(there["predictions.csv"].splitlines()) == 1 + 2 * NUM_BONES
    assert any(name.startswith("disagreement/") for name in there) == (each.name == "ensemble")
    assert there == here


def test_training_without_data_says_what_to_give(bare_python, exported, tmp_path):
    words = ["-I", "-m", "monai.bundle", "run", "training", "--config_file"]
    words += [f"['{exported}/configs/train.json','{exported}/configs/no_tracking.json']"]
    result = start(bare_python, words, tmp_path)
    assert result.returncode == 2
    assert re.search(r"^handseg: data/.*(--data_dir|--folds)\.$", result.stderr.splitlines()[-1])


def test_the_commands_of_monai_and_of_handseg_work_in_its_folder(bare_python, exported, tmp_path):
    ids = ["network_def", "--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json"]
    weights = ["--ckpt_file", "models/model.pt", "--key_in_ckpt", "model"]
    for command in (
        ["-m", "monai.bundle", "verify_net_in_out", *ids, "--device", "cpu"],
        ["-m", "monai.bundle", "ckpt_export", *ids, *weights, "--filepath", tmp_path / "model.ts"],
        ["-m", "handseg_bundle_common.cli", "--version"],
    ):
        result = start(bare_python, command, exported)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "model.ts").stat().st_size > 10_000_000
    assert result.stdout == f"handseg {__version__}\n"


def test_two_versions_of_the_package_never_run_in_one_process(bare_python, exported, pictures, tmp_path):
    """Two bundles of one version share a process; one of another version is refused there, and runs by itself."""
    for name in ("first", "second", "newer"):
        root = shutil.copytree(exported, tmp_path / name)
        text = (root / "configs" / "inference.json").read_text()
        text = text.replace('"name": "effisegnet"', f'"name": "{name}"')
        if name == "newer":
            text = text.replace(f'"exported_with": "{__version__}"', f'"exported_with": "{OTHER_VERSION}"')
            (root / "handseg_bundle_common" / "__init__.py").write_text(f'__version__ = "{OTHER_VERSION}"\n')
        (root / "configs" / "inference.json").write_text(text)
        metadata = json.loads((root / "configs" / "metadata.json").read_text())
        (root / "configs" / "metadata.json").write_text(json.dumps(metadata | {"name": name}))
    result = start(bare_python, ["-I", "-c", RUN_SEVERAL, pictures, "first", "second", "newer"], tmp_path)
    ran = re.findall(r"^ran (\w+) (\S+) (\S+)$", result.stdout, re.MULTILINE)
    package = str(tmp_path / "first" / "handseg_bundle_common" / "__init__.py")
    assert ran == [("first", package, __version__), ("second", package, __version__)], result.stderr
    assert (tmp_path / "second" / "out" / "predictions.csv").exists()
    assert result.returncode == 2
    expected = f"handseg: newer: was exported with version {OTHER_VERSION} of handseg_bundle_common"
    assert result.stderr.splitlines()[-1].startswith(expected)
    alone = start(bare_python, ["-I", "-c", RUN_SEVERAL, pictures, "newer"], tmp_path)
    assert f"newer/handseg_bundle_common/__init__.py {OTHER_VERSION}" in alone.stdout
