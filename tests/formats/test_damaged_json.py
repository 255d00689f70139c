"""JSON with damaged bytes: whoever reads it gives a value or exactly one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handseg_bundle_common.datasets import fold_split, read_folds
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.info import bundle_info

BUNDLE = {
    "version": "0.1.0",
    "network_data_format": {"outputs": {"pred": {"channel_def": {"0": "finger-1"}}}},
    "members": [{"name": "a", "bundle": "b", "weights": "c"}],
}
ANNOTATIONS = {
    "annotations": [
        {"id": "a", "type": "poly_seg", "attributes": {}, "points": [[0, 0], [3, 0], [3, 4]], "label": "finger-1"}
    ]
}
READERS: dict[str, tuple[Any, str, Callable[[Path], object]]] = {
    "annotations": (ANNOTATIONS, "x.json", lambda path: rasterise(read_annotations(path), 5, 5)),
    "folds": ({"folds": [["p1", "p2"], ["p3"]]}, "x.json", read_folds),
    "metadata": (BUNDLE, "configs/metadata.json", lambda path: bundle_info(path.parents[1])),
    "configuration": (BUNDLE, "configs/inference.json", lambda path: bundle_info(path.parents[1])),
}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(list(READERS)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
)
def test_damaged_bytes(
    tmp_path_factory: pytest.TempPathFactory, case: str, changes: list[tuple[float, int]], share: float
) -> None:
    document, name, read = READERS[case]
    content = bytearray(json.dumps(document).encode())
    for position, value in changes:
        content[int(position * len(content))] = value
    path = tmp_path_factory.getbasetemp() / "damaged" / case / name
    path.parent.mkdir(parents=True, exist_ok=True)
    # Most files stay whole, so that the changes matter.
    path.write_bytes(content[: round(min(1, 2 * share) * len(content))])
    try:
        read(path)
    except HandsegInputError as error:
        assert "\n" not in str(error)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["annotations", "folds"]), VALUES, st.sampled_from(["annotations", "folds", "points", "label"]))
def test_values_of_another_kind(tmp_path_factory: pytest.TempPathFactory, case: str, value: Any, key: str) -> None:
    """Whatever stands in place of a value that is expected."""
    document, _, read = READERS[case]
    changed = {**document, key: value}
    if key in {"points", "label"}:
        changed = {"annotations": [{**ANNOTATIONS["annotations"][0], key: value}]}
    path = tmp_path_factory.getbasetemp() / "values.json"
    path.write_text(json.dumps(changed))
    try:
        read(path)
    except HandsegInputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"{}", b"null", b'{"folds": [[]]}', b"1e999"])
def test_folds_that_cannot_be_used(sample_data: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "folds.json").write_bytes(content)
    with pytest.raises(HandsegInputError, match=r"folds\.json"):
        fold_split(str(sample_data), str(tmp_path / "folds.json"), 0, "validation")
