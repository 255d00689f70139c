"""What a run was made with: the commit, also of a changed clone, versions, machine and data; nobody's name or path."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from handseg_bundle_common.datasets import data_fingerprint, data_list
from handseg_bundle_common.engine import environment
from handseg_bundle_common.engine.environment import git_revision, run_environment
from handseg_bundle_common.errors import HandsegInputError


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository of one commit whose folder `package` stands for this package."""
    if shutil.which("git") is None:
        pytest.skip("revisions of the code (git is not installed)")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)  # noqa: S603, S607
    monkeypatch.setattr(environment, "_PACKAGE_DIR", package)
    return package


def test_the_revision_is_the_commit(clone):
    full = (clone.parent / ".git" / "refs" / "heads").glob("*").__next__().read_text().strip()
    assert git_revision() == full[:12]


def test_changes_are_told(clone):
    unchanged = git_revision()
    (clone / "__init__.py").write_text("changed = True\n")
    assert git_revision() == f"{unchanged}+changes"


def test_a_package_in_the_repository_of_somebody_else_has_no_revision(clone, monkeypatch):
    other = clone.parent / "site-packages"
    other.mkdir()
    (other / "__init__.py").write_text("")
    monkeypatch.setattr(environment, "_PACKAGE_DIR", other)
    assert git_revision() is None


def test_without_git_there_is_no_revision(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_revision() is None


def test_versions_and_machine_are_plain_values():
    found = run_environment()
    assert found["packages"]["torch"] == version("torch")
    assert re.fullmatch(r"3\.\d+\.\d+.*", found["python"])
    assert found["threads"] >= 1
    assert "data_fingerprint" not in found
    assert json.loads(json.dumps(found)) == found


def test_packages_that_are_not_there_are_left_out(monkeypatch):
    monkeypatch.setattr(environment, "_PACKAGES", ("numpy", "no-such-package"))
    assert list(run_environment()["packages"]) == ["numpy"]


def test_the_data_is_told_by_its_fingerprint(sample_data):
    items = data_list(sample_data)
    found = run_environment(sample_data)
    assert found["data_fingerprint"] == data_fingerprint(items)
    assert found["data_images"] == len(items)


def test_it_names_neither_paths_nor_persons(sample_data):
    text = json.dumps(run_environment(sample_data))
    assert str(Path.home()) not in text
    assert str(sample_data) not in text
    assert f'"{getpass.getuser()}"' not in text


def test_data_that_is_not_there_is_named(tmp_path):
    with pytest.raises(HandsegInputError, match="nowhere"):
        run_environment(tmp_path / "nowhere")
