"""Which format a file is in, without reading more of it than it may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from handseg_bundle_common.conversion.recognise import format_of
from handseg_bundle_common.errors import HandsegInputError


def test_json_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    with path.open("wb") as file:
        file.truncate(2**30 + 1)  # a sparse file: no disk is filled
    with pytest.raises(HandsegInputError, match=r"labels\.json: has more than 1,073,741,824 bytes; check the path, or"):
        format_of(path)
