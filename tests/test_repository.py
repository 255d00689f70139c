"""Promises of the repository as a whole: floors, versions, and what a wheel carries."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess

import pytest

PACKAGE = "handseg_bundle_common"

FLOORS = {
    "anatomy": 0,
    "digests": 0,
    "errors": 0,
    "files": 0,
    "masks": 0,
    "resources": 0,
    "workers": 0,
    "formats": 1,
    "weights": 1,
    "drawing": 1,
    "charts": 1,
    "pages": 1,
    "datasets": 2,
    "transforms": 2,
    "metrics": 2,
    "losses": 2,
    "networks": 2,
    "laterality": 2,
    "info": 2,
    "conversion": 3,
    "engine": 3,
    "windows": 3,
    "simulation": 3,
    "ensemble": 4,
    "measurements": 4,
    "inference": 5,
    "analysis": 5,
    "tracking": 5,
    "packaging": 6,
    "serve": 6,
    "cli": 7,
    "monailabel_app": 7,
}
# On the ground floor, bone names, errors and files carry what stands beside them.
WITHIN_A_FLOOR = {("files", "errors"), ("masks", "anatomy"), ("resources", "errors"), ("workers", "errors")}


@pytest.fixture(scope="module")
def settings(repository):
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # folders are case-sensitive
    parser.read(repository / "setup.cfg")
    return parser


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            names = [alias.name for alias in node.names] if node.module == PACKAGE else [node.module.split(".")[1]]
            yield from names


def test_modules_import_only_from_floors_below(repository):
    climbing = []
    for path in (repository / PACKAGE).rglob("*.py"):
        own = path.relative_to(repository / PACKAGE).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for other in _imports(path):
            if other in {own, "__version__"} or (own, other) in WITHIN_A_FLOOR:
                continue
            if FLOORS[other] >= FLOORS[own]:
                climbing.append(f"{own} imports {other}")
    assert not climbing


def test_every_requirement_has_a_tested_version(repository, settings):
    constraints = (repository / "constraints.txt").read_text().lower()
    pinned = set(re.findall(r"^([a-z0-9_.-]+)==", constraints, re.MULTILINE))
    offered = settings["options.extras_require"]
    extras = "\n".join(offered[name] for name in ("simulate", "segformer", "onnx", "dicom", "serve", "cluster", "dev"))
    needed = re.findall(r"^([A-Za-z0-9_-]+)", settings["options"]["install_requires"] + extras, re.MULTILINE)
    assert needed
    assert {name.lower() for name in needed} <= pinned


def test_the_wheel_carries_every_file_of_bundles_and_sample_data(repository, settings):
    listing = subprocess.run(
        ["git", "ls-files", "bundles", "data/sample", "data/folds"],  # noqa: S607
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode or not listing.stdout:
        pytest.skip("not a git checkout")
    carried = set()
    for target, patterns in settings["options.data_files"].items():
        for pattern in patterns.split():
            for path in repository.glob(pattern):
                relative = path.relative_to(repository)
                assert str(relative.parent) == target.removeprefix("share/handseg/").strip()
                carried.add(str(relative))
    assert set(listing.stdout.split()) <= carried


def test_every_bundle_carries_licence_and_attribution(repository):
    for bundle in (repository / "bundles").iterdir():
        for name in ("LICENSE", "NOTICE"):
            assert (bundle / name).read_bytes() == (repository / name).read_bytes(), f"{bundle.name}/{name}"
