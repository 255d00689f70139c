"""A bundle's files with damaged bytes: whoever builds its network or verifies it has one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handseg_bundle_common.ensemble import MemberSettings
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.packaging import verify_bundle
from handseg_bundle_common.weights import declared_digest

METADATA = {
    "name": "tiny",
    "version": "0.1.0",
    "changelog": {"0.1.0": "first"},
    "weights": {"models/model.pt": {"sha256": "0" * 64, "bytes": 3}},
}
# Nothing in it does harm, whichever of its bytes change.
CONFIG = {
    "image_size": 64,
    "threshold": 0.5,
    "network": {"_target_": "torch.nn.Identity"},
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": "@image_size"},
    "inferer": {"_target_": "monai.inferers.SimpleInferer"},
}
MEMBERS = {"members": [{"name": "a", "bundle": "b", "weights": "c", "windows": {"image_size": 64, "flip": False}}]}


def metadata_readers(path: Path) -> None:
    root = path.parents[1]
    declared_digest(root / "models" / "model.pt")
    verify_bundle(root, network=False)


def members(path: Path) -> None:
    config = read_json(path, "compare it with another")
    MemberSettings.parse_all(config.get("members") if isinstance(config, dict) else None)


READERS: dict[str, tuple[object, str, Callable[[Path], object]]] = {
    "network": (CONFIG, "inference.json", lambda path: load_predictor(str(path.parents[1]), device="cpu")),
    "members": (MEMBERS, "inference.json", members),
    "metadata": (METADATA, "metadata.json", metadata_readers),
}


@pytest.fixture(autouse=True, scope="module")
def only_here(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bundles in folders of their own, each with metadata and a configuration that can be read."""
    for case in READERS:
        configs = tmp_path_factory.getbasetemp() / "bundles" / case / "configs"
        configs.mkdir(parents=True)
        (configs / "metadata.json").write_text(json.dumps(METADATA))
        (configs / "inference.json").write_text(json.dumps(CONFIG))


@settings(max_examples=200)
@given(
    st.sampled_from(list(READERS)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
)
@example("network", [], 1.0)
@example("metadata", [], 1.0)
def test_damaged_bytes(
    tmp_path_factory: pytest.TempPathFactory, case: str, changes: list[tuple[float, int]], share: float
) -> None:
    document, name, read = READERS[case]
    content = bytearray(json.dumps(document).encode())
    for position, value in changes:
        content[int(position * len(content))] = value
    path = tmp_path_factory.getbasetemp() / "bundles" / case / "configs" / name
    path.write_bytes(content[: round(min(1, 2 * share) * len(content))])
    try:
        read(path)
    except HandsegInputError as error:
        assert "\n" not in str(error)
