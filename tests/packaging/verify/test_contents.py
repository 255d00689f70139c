"""What lies in a bundle: no links, programs or pickles, and no code but the installed package's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handseg_bundle_common import __version__
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.packaging.verify.checks import verify_bundle
from handseg_bundle_common.packaging.verify.contents import INSTALLED, bundle_files, code_findings, kind_findings
from handseg_bundle_common.packaging.verify.findings import Check, Severity

PACKAGE = "handseg_bundle_common"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package as an export carries it: no compiled files."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(INSTALLED, tmp_path_factory.mktemp("package") / PACKAGE, ignore=ignored))


@pytest.fixture
def carrying(bundle: Path, installed: Path) -> Path:
    """A bundle with its own copy of the package."""
    shutil.copytree(installed, bundle / PACKAGE)
    return bundle


REFUSED = {
    **{f"x{suffix}": b"" for suffix in (".pkl", ".pickle", ".pth", ".joblib", ".npy", ".npz", ".ckpt")},
    **{f"x{suffix}": b"" for suffix in (".so", ".pyd", ".dll", ".dylib", ".exe", ".sh", ".bat", ".pyc", ".html")},
    **{f"models/x{suffix}": b"" for suffix in (".zip", ".tar", ".gz", ".7z", ".whl", ".jar")},
    "models/x.PKL": b"",
    "docs/picture.png": b"PK\x03\x04archive",
    "docs/x.md": b"\x7fELFprogram",
    "scripts/__pycache__/x.txt": b"",
    f"{PACKAGE}/__pycache__/errors.cpython-311.pyc": b"",
    "x.pyw": b"",
    ".pkl": b"",
    "mlflow_x-1.dist-info/entry_points.txt": b"[mlflow.run_context_provider]\nx = os:abort\n",
    "x.egg-info/entry_points.txt": b"",
    "EGG-INFO/entry_points.txt": b"",
    "docs/matplotlibrc": b"backend: module://x",
    # Only the copy at the top is the shared package, which is compared with the installed one as a whole.
    f"my_{PACKAGE}/x.so": b"",
    f"docs/{PACKAGE}/x.pkl": b"",
    f"{PACKAGE}_more/x.sh": b"",
    # A run writes no such files.
    **{f"eval/x{suffix}": b"" for suffix in (".py", ".pt", ".conf", ".cfg", ".pkl", ".pth", ".so", ".zip", ".sh")},
    "eval/run/deep/.py": b"",
    "eval/x.csv": b"\x7fELFprogram",
    "eval/x.dist-info/entry_points.txt": b"",
}


@pytest.mark.parametrize("name", REFUSED)
def test_kinds_of_files_that_are_refused(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_bytes(REFUSED[name])
    assert [(one.file, one.severity) for one in kind_findings(bundle)] == [(name, Severity.ERROR)]


def test_what_python_compiled_in_a_run_is_one_fault_with_a_remedy(carrying: Path) -> None:
    for name in ("errors", "files", "metrics/dice"):
        compiled = Path(carrying, PACKAGE, f"{name}.py").parent / "__pycache__" / f"{Path(name).name}.cpython-311.pyc"
        compiled.parent.mkdir(exist_ok=True)
        compiled.write_bytes(b"")
    (fault,) = (one for one in verify_bundle(carrying, network=False).findings if one.severity == Severity.ERROR)
    assert "3 such files" in fault.problem
    assert "__pycache__" in fault.remedy


@pytest.mark.parametrize(
    ("name", "severity"), [("models/model.onnx", "note"), ("models/model.ts", "note"), (".DS_Store", "warning")]
)
def test_kinds_of_files_that_are_told_of(bundle: Path, name: str, severity: str) -> None:
    (bundle / name).write_bytes(b"\0")
    assert [(one.file, one.severity) for one in kind_findings(bundle)] == [(name, severity)]


def test_links_are_refused_but_those_of_stores_of_weights(bundle: Path, tmp_path: Path) -> None:
    shutil.move(bundle / "models" / "model.pt", tmp_path / "stored")
    (bundle / "models" / "model.pt").symlink_to(tmp_path / "stored")
    (bundle / "docs" / "x.md").symlink_to("/etc/hostname")
    (bundle / "configs" / "more").symlink_to("/etc")
    os.mkfifo(bundle / "docs" / "pipe")
    found = {one.file: one.severity for one in kind_findings(bundle)}
    assert found == {"models/model.pt": "note", "docs/x.md": "error", "configs/more": "error", "docs/pipe": "error"}


def test_what_runs_write_is_no_part_of_a_bundle(bundle: Path) -> None:
    before = bundle_files(bundle)
    (bundle / "eval" / "run").mkdir(parents=True)
    for name in ("scores.csv", "config.json", "overlay.png", "probabilities.npz", "report.html", "cells.parquet"):
        (bundle / "eval" / "run" / name).write_bytes(b"{}")
    assert bundle_files(bundle) == before
    assert not kind_findings(bundle)


def test_no_link_may_lie_among_results_nor_lead_there(bundle: Path, tmp_path: Path) -> None:
    (bundle / "eval").mkdir()
    (bundle / "eval" / "model.pt").symlink_to(bundle / "models" / "model.pt")
    (bundle / "eval" / "more").symlink_to(tmp_path)
    assert [(one.file, one.severity) for one in kind_findings(bundle)] == [
        ("eval/model.pt", Severity.ERROR),
        ("eval/more", Severity.ERROR),
    ]
    shutil.rmtree(bundle / "eval")
    (bundle / "eval").symlink_to(tmp_path)
    assert [(one.file, one.severity) for one in kind_findings(bundle)] == [("eval", Severity.ERROR)]


def test_a_folder_that_cannot_be_listed_is_told(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows the name of a file in it can open that."""
    listed = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "docs":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(HandsegInputError, match=r"docs: cannot be listed \(Permission denied\)"):
        kind_findings(bundle)


@pytest.mark.parametrize(
    "name", ["scripts/__init__.py", "torch.py", "sitecustomize.py", "configs/x.PY", f"my_{PACKAGE}/x.py"]
)
def test_code_of_its_own_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("raise SystemExit")
    assert [(one.file, one.check) for one in code_findings(bundle)] == [(name, Check.CODE)]
    assert verify_bundle(bundle, network=False).exit_code == 3
    trusted = verify_bundle(bundle, network=False, trust=True)
    assert trusted.exit_code == 0
    assert "TRUSTED" in trusted.text()


@pytest.mark.parametrize("name", [f"my_{PACKAGE}", f"docs/{PACKAGE}", f"{PACKAGE}/{PACKAGE}", f"eval/{PACKAGE}"])
def test_a_copy_of_the_package_elsewhere_is_code_of_its_own(bundle: Path, installed: Path, name: str) -> None:
    """Also where the files in it are those of the installed package."""
    (bundle / name).mkdir(parents=True)
    shutil.copy(installed / "__init__.py", bundle / name)
    assert verify_bundle(bundle, network=False).exit_code == 3


def test_the_package_as_it_is_installed_is_no_code_of_its_own(carrying: Path) -> None:
    assert not code_findings(carrying)
    assert not verify_bundle(carrying, network=False).findings


def change(package: Path) -> None:
    with (package / "weights" / "storage.py").open("a") as file:
        file.write("\n")


SPOILT: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "changed": (change, "/weights/storage.py", "not the file of the installed package"),
    "added": (lambda package: (package / "more.py").touch(), "/more.py", "not the file of the installed package"),
    "data added": (lambda package: (package / "x.so").touch(), "/x.so", "not the file of the installed package"),
    "among results": (
        lambda package: [(package / "eval").mkdir(), (package / "eval" / "x.py").touch()],
        "/eval/x.py",
        "not the file of the installed package",
    ),
    "configuration": (
        lambda package: (package / "x.json").write_text('{"x": "$__import__(\'os\')"}'),
        "/x.json",
        "not the file of the installed package",
    ),
    "missing": (lambda package: (package / "errors.py").unlink(), "/errors.py", "is missing from the package"),
    "other version": (
        lambda package: (package / "__init__.py").write_text('__version__ = "9.9.9"\n'),
        "",
        f"another version (9.9.9, not {__version__})",
    ),
    "no version": (lambda package: (package / "__init__.py").unlink(), "", "no version"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_any_other_package_is_code_of_its_own(carrying: Path, case: str) -> None:
    spoil, place, problem = SPOILT[case]
    spoil(carrying / PACKAGE)
    (found,) = code_findings(carrying)
    assert found.file == f"{PACKAGE}{place}"
    assert problem in found.problem


def test_a_package_of_which_much_has_changed_is_told_of_briefly(carrying: Path) -> None:
    for number in range(9):
        (carrying / PACKAGE / f"more{number}.py").touch()
    found = code_findings(carrying)
    assert len(found) == 6
    assert "differs from the installed package in 9 files" in found[-1].problem
