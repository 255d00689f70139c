"""The wheel: built, installed without the repository, and predicting with the bundles it carries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from handseg_bundle_common.inference import predict
from handseg_bundle_common.resources import installed_folder

PREDICT = """
import sys
sys.path.insert(0, sys.argv[1])
from handseg_bundle_common import resources
from handseg_bundle_common.cli import main
from handseg_bundle_common.datasets import sample_dir
from handseg_bundle_common.weights import known_bundles
print(resources.INSTALLED)
print(*[bundle.name for bundle in known_bundles()])
picture = sorted(sample_dir().rglob("*.png"))[0]
for bundle in known_bundles():
    command = ["predict", str(picture), "--bundle", bundle.name, "--output", f"out/{bundle.name}", "--device", "cpu"]
    if main(command):
        sys.exit(f"{bundle.name} does not predict")
"""
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "handseg_bundle_common", "bundles", "data")


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    """The wheel of the repository, built in a copy that keeps its own folders clean."""
    setuptools = pytest.importorskip("setuptools", reason="the wheel (pip install setuptools)")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("the wheel (pip install --upgrade setuptools)")
    copy = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("__pycache__", "eval", "trained", "finetuned")
    for name in SOURCES:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy / name)
    pip("wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", folder=copy)
    (built,) = (copy / "dist").glob("*.whl")
    return built


def pip(*words: object, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, words)]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603


def predict_there(python: Path, packages: Path, folder: Path) -> list[str]:
    """Predict with the package in a folder and return what is printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "HANDSEG"))}
    command = [str(python), "-I", "-c", PREDICT, str(packages)]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_installed_into_a_folder_it_predicts_with_the_bundles_it_carries(wheel, bare_python, sample_data, tmp_path):
    target = tmp_path / "target"
    pip("install", wheel, "--no-deps", "--no-index", "--target", target, folder=tmp_path)
    place, names, *_ = predict_there(bare_python, target, tmp_path)
    assert Path(place) == target / "share" / "handseg"
    assert names.split() == ["effisegnet", "ensemble", "segformer", "swin_unetr", "unetplusplus"]
    picture = sorted(sample_data.rglob("*.png"))[0]
    for name in names.split():
        predict([picture], name, tmp_path / "here" / name, device="cpu")
        here, there = (tmp_path / folder / name / "predictions.csv" for folder in ("here", "out"))
        assert there.read_bytes() == here.read_bytes()


@pytest.mark.parametrize("scheme", sorted(sysconfig.get_scheme_names()))
def test_wherever_pip_puts_packages_and_data_they_find_each_other(tmp_path, scheme):
    """The layouts of `--prefix`, `--user` and environments on every system, as Python describes them."""
    places = {name: str(tmp_path / "base") for name in ("base", "platbase", "userbase", "installed_base")}
    package_home, data = (Path(sysconfig.get_path(name, scheme, places)) for name in ("purelib", "data"))
    (data / "share" / "handseg" / "bundles").mkdir(parents=True)
    assert installed_folder(package_home) == data / "share" / "handseg"


def test_a_package_without_an_installation_above_it_asks_python(tmp_path):
    deep = tmp_path / "lib" / "python" / "site-packages"
    assert installed_folder(deep) == Path(sys.prefix, "share", "handseg")
