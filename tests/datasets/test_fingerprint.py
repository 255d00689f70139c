"""The fingerprint of a data set changes with its content and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handseg_bundle_common.datasets import data_fingerprint, data_list
from handseg_bundle_common.errors import HandsegInputError


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name in ("p1/a", "p1/b", "p2/c"):
        for folder, suffix, content in (("DCM", ".png", b"pixels"), ("outputs_json", ".json", b"{}")):
            path = tmp_path / "data" / folder / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return tmp_path / "data"


def fingerprint(data_dir: Path) -> str:
    return data_fingerprint(data_list(data_dir))


def test_it_is_the_same_for_ever(data_dir: Path) -> None:
    """Fold files hold it, so it must not change with a version of Python either."""
    assert fingerprint(data_dir) == "sha256:0ab72f0630a8b9725eedfb8532db8d2b4669c77f618f92cefe40b5c59d0a570a"


def test_place_and_order_do_not_matter(data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(data_dir, tmp_path / "elsewhere" / "copy")
    assert fingerprint(tmp_path / "elsewhere" / "copy") == fingerprint(data_dir)
    assert data_fingerprint(data_list(data_dir)[::-1]) == fingerprint(data_dir)


def test_composed_and_decomposed_letters_are_one_name() -> None:
    entry = Path(__file__)
    composed, decomposed = (
        data_fingerprint([{"patient": name, "image": str(entry), "image_name": "1.png"}])
        for name in ("\u00e9", "e\u0301")
    )
    assert composed == decomposed


def correct_polygons(data_dir: Path) -> None:
    (data_dir / "outputs_json/p1/a.json").write_bytes(b"[]")


def replace_image(data_dir: Path) -> None:
    (data_dir / "DCM/p1/a.png").write_bytes(b"more pixels")


def rename_patient(data_dir: Path) -> None:
    for folder in ("DCM", "outputs_json"):
        (data_dir / folder / "p2").rename(data_dir / folder / "p3")


def remove_hand(data_dir: Path) -> None:
    (data_dir / "DCM/p1/a.png").unlink()
    (data_dir / "outputs_json/p1/a.json").unlink()


def remove_polygons(data_dir: Path) -> None:
    shutil.rmtree(data_dir / "outputs_json")


@pytest.mark.parametrize("change", [correct_polygons, replace_image, rename_patient, remove_hand, remove_polygons])
def test_content_matters(data_dir: Path, change: Callable[[Path], None]) -> None:
    before = fingerprint(data_dir)
    change(data_dir)
    assert fingerprint(data_dir) != before


def test_a_file_that_is_gone(data_dir: Path) -> None:
    items = data_list(data_dir)
    (data_dir / "outputs_json/p1/a.json").unlink()
    with pytest.raises(HandsegInputError, match=r"a\.json: cannot be read \(No such file or directory\); check"):
        data_fingerprint(items)
