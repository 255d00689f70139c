"""In which numbers a network works on which device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.inference.precision import PRECISIONS, autocast_type, compiled, has_bfloat16

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=[True, False], ids=["knows bfloat16", "does not"])
def knows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the processor and the GPU multiply in bfloat16."""
    capability = (8, 0) if request.param else (7, 5)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": request.param})
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    return request.param


def test_auto_takes_what_the_device_knows(knows: bool) -> None:
    assert autocast_type("auto", CPU) == (torch.bfloat16 if knows else None)
    assert autocast_type("auto", GPU) == torch.float16
    assert has_bfloat16(CPU) == has_bfloat16(GPU) == knows


def test_float32_is_always_there(knows: bool) -> None:
    assert autocast_type("float32", CPU) is autocast_type("float32", GPU) is None


def test_bfloat16_is_never_imitated(knows: bool) -> None:
    for device in (CPU, GPU):
        if knows:
            assert autocast_type("bfloat16", device) == torch.bfloat16
        else:
            with pytest.raises(HandsegInputError, match="does not calculate in bfloat16"):
                autocast_type("bfloat16", device)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(HandsegInputError, match=f"'float8' is unknown; choose {', '.join(PRECISIONS)}"):
        autocast_type("float8", CPU)


def test_only_networks_on_a_gpu_are_compiled() -> None:
    network = nn.Linear(1, 1)
    with pytest.raises(HandsegInputError, match="on a GPU only, not on cpu"):
        compiled(network, CPU)
    assert compiled(network, GPU).state_dict().keys() == {"_orig_mod.weight", "_orig_mod.bias"}
