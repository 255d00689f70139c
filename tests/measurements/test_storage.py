"""Measured images on disk: read as they were written, and only for what they were measured of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common import measurements, transforms
from handseg_bundle_common.formats import dicom
from handseg_bundle_common.measurements import Scale
from handseg_bundle_common.measurements.results import HandRows
from handseg_bundle_common.measurements.storage import measures_key, read_rows, write_rows

ROWS = HandRows("mm", (("h\udcffnd.png", "Radius", "1.5"), ("h\udcffnd.png", "Ulna", "")), ("x", "L"), (("x", "0"),))


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.json", "key", ROWS)
    assert read_rows(tmp_path / "a.json", "key") == ROWS
    assert read_rows(tmp_path / "a.json", "other key") is None


@pytest.mark.parametrize("content", ["", "[]", '{"key": "key"}', '{"key": "key", "bones": 3}', "\xff"])
def test_damaged_and_foreign_files_are_no_rows(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content, encoding="latin-1")
    assert read_rows(tmp_path / "a.json", "key") is None
    assert read_rows(tmp_path / "missing.json", "key") is None


def test_the_key_tells_what_was_measured_and_by_which_code(tmp_path: Path, monkeypatch) -> None:
    image, packed = tmp_path / "a.png", np.zeros((4, 6), np.uint32)
    image.write_bytes(b"picture")
    first = measures_key("a.png", image, packed, Scale())
    assert first == measures_key("a.png", image, packed.copy(), Scale())
    others = [
        measures_key("b.png", image, packed, Scale()),
        measures_key("a.png", image, packed, Scale(0.2)),
        measures_key("a.png", image, packed.reshape(6, 4), Scale()),
        measures_key("a.png", image, packed + np.uint32(1), Scale()),
    ]
    image.write_bytes(b"another picture")
    others.append(measures_key("a.png", image, packed, Scale()))
    image.write_bytes(b"picture")
    monkeypatch.setattr("handseg_bundle_common.measurements.storage.code_digest", lambda *_: "other code")
    others.append(measures_key("a.png", image, packed, Scale()))
    assert len({first, *others}) == 7


def test_the_code_is_that_of_all_that_reads_measures_and_draws(tmp_path: Path, monkeypatch) -> None:
    """DICOM files tell the side and the spacing, and the transforms stretch the contrast of the overlays."""
    asked: list[object] = []
    monkeypatch.setattr(
        "handseg_bundle_common.measurements.storage.code_digest", lambda *modules: asked.extend(modules) or ""
    )
    (tmp_path / "a.png").write_bytes(b"picture")
    measures_key("a.png", tmp_path / "a.png", np.zeros((4, 6), np.uint32), Scale())
    assert {measurements, dicom, transforms} <= set(asked)
