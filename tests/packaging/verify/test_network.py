"""The network against its metadata, by one run of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handseg_bundle_common.packaging.verify.checks import verify_bundle
from handseg_bundle_common.packaging.verify.findings import Check
from handseg_bundle_common.packaging.verify.network import network_findings, sides


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ([64, 96], [64, 96]),
        (["32*n", "32 * n"], [96, 96]),
        (["*", "2**p*n"], [64, 12]),
        (["n", "n**p"], [3, 9]),
        (["4096", "2 ** 12"], [4096, 4096]),
    ],
)
def test_sides_are_what_monai_makes_of_them(shape: list[int | str], expected: list[int]) -> None:
    assert sides(shape, n=3, p=2) == expected
    for text, side in zip(shape, expected, strict=True):
        if text != "*":
            assert eval(str(text), {"n": 3, "p": 2}) == side  # noqa: S307  the reference


@pytest.mark.parametrize("side", ["0", "4097", "9**9**9", "99999**99999", "n*", "-1", "().__class__", "q", "", "1e3"])
def test_what_is_no_side_is_refused(side: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        sides([side])


def formats(bundle: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text())
    return dict(document["network_data_format"])


WRONG: dict[str, tuple[str, str, Any, str]] = {
    "channels in": ("inputs", "num_channels", 2, "cannot take"),
    "shape": ("outputs", "spatial_shape", [64, 32], r"instead of \(1, 29, 64, 32\)"),
    "type": ("outputs", "dtype", "float16", "instead of float16"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_network_that_does_something_else_is_found(bundle: Path, edit: Callable[..., None], case: str) -> None:
    side, key, value, problem = WRONG[case]
    described = formats(bundle)
    next(iter(described[side].values()))[key] = value
    edit(bundle / "configs" / "metadata.json", network_data_format=described)
    result = verify_bundle(bundle)
    (finding,) = result.findings
    assert (finding.check, result.exit_code) == (Check.NETWORK, 5)
    assert re.search(problem, finding.problem)


@pytest.mark.parametrize("direction", ["inputs", "outputs"])
@pytest.mark.parametrize("side", ["99999**9999", 10**30, 4097, "n*"])
def test_a_shape_that_is_none_is_found(bundle: Path, edit: Callable[..., None], direction: str, side: object) -> None:
    described = formats(bundle)
    next(iter(described[direction].values()))["spatial_shape"] = [side, 64]
    edit(bundle / "configs" / "metadata.json", network_data_format=described)
    (finding,) = network_findings(bundle)
    assert (finding.check, finding.file) == (Check.NETWORK, "configs/metadata.json")
    assert "is no size" in finding.problem


@pytest.mark.parametrize("network", [5, "@weights"])
def test_a_network_that_is_none_is_found(bundle: Path, edit: Callable[..., None], network: object) -> None:
    edit(bundle / "configs" / "inference.json", network=network)
    (finding,) = verify_bundle(bundle).findings
    assert finding.check is Check.NETWORK
    assert "is not a torch.nn.Module" in finding.problem


def test_weights_of_another_network_are_found(bundle: Path, edit: Callable[..., None], repository: Path) -> None:
    edit(bundle / "configs" / "metadata.json", "weights")
    other = (repository / "bundles" / "segformer" / "models" / "model.pt").read_bytes()
    (bundle / "models" / "model.pt").write_bytes(other)
    (finding,) = network_findings(bundle)
    assert "cannot be built" in finding.problem


def test_a_bundle_of_the_repository_passes_from_any_folder(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = verify_bundle(repository / "bundles" / "unetplusplus")
    assert (result.exit_code, result.findings) == (0, ())
    assert set(result.done) == set(Check) - {Check.ARCHIVE}
