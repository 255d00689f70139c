"""Weights of another network: refused with counts, or loaded as far as they fit, with every difference listed."""

from __future__ import annotations

import json
import logging
import re

import pytest
import torch
from torch import nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_weights, save_weights

State = dict[str, torch.Tensor]


def network(classes: int = NUM_BONES, width: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, classes, 1))


def state(**options: int) -> State:
    return dict(network(**options).state_dict())


def without(*names: str) -> State:
    return {name: tensor for name, tensor in state().items() if name not in names}


NINE = "of the network's 9 tensors"
MISFITS = {
    "classes": (
        state(classes=3),
        "predicts 3 classes instead of 29, has 2 tensors of another shape "
        "(2.weight with (3, 4, 1, 1) for (29, 4, 1, 1), 2.bias with (3,) for (29,))",
    ),
    "one missing": (without("1.bias"), f"lacks 1 {NINE} (1.bias)"),
    "many missing": (
        without("0.bias", "1.weight", "1.bias", "2.bias"),
        f"lacks 4 {NINE} (0.bias, 1.weight, 1.bias, ...)",
    ),
    "unexpected": (state() | {"x": torch.ones(1)}, "holds 1 tensor that the network does not have (x)"),
    "width": (
        state(width=8),
        "has 7 tensors of another shape (0.weight with (8, 1, 3, 3) for (4, 1, 3, 3), 0.bias with (8,) for (4,), "
        "1.weight with (8,) for (4,), ...)",
    ),
    "scalar head": (
        state() | {"2.bias": torch.ones(())},
        "has 1 tensor of another shape (2.bias with () for (29,))",
    ),
    "everything": (
        without("1.bias") | {"x": torch.ones(1), "y": torch.ones(1), "0.bias": torch.ones(5)},
        f"lacks 1 {NINE} (1.bias), holds 2 tensors that the network does not have (x, y), "
        "has 1 tensor of another shape (0.bias with (5,) for (4,))",
    ),
}
misfits = pytest.mark.parametrize(("found", "problem"), MISFITS.values(), ids=MISFITS.keys())


@misfits
def test_a_strict_load_says_in_one_sentence_what_differs(tmp_path, found, problem):
    torch.save(found, tmp_path / "model.pt")
    target, before = network(), state()
    target.load_state_dict(before)
    remedy = "use weights of the same architecture and settings."
    with pytest.raises(HandsegInputError, match=re.escape(f"model.pt: {problem}; {remedy}") + "$"):
        load_weights(target, tmp_path / "model.pt")
    torch.testing.assert_close(dict(target.state_dict()), before, rtol=0, atol=0)


@misfits
def test_a_tolerant_load_takes_what_fits_and_leaves_the_rest(tmp_path, found, problem, caplog):
    torch.save(found, tmp_path / "model.pt")
    target, before = network(), state()
    target.load_state_dict(before)
    load_weights(target, tmp_path / "model.pt", strict=False, min_share=0.0)
    for name, tensor in target.state_dict().items():
        fits = name in found and found[name].shape == tensor.shape
        assert torch.equal(tensor, found[name] if fits else before[name]), name
    assert f"the rest starts anew: it {problem}" in caplog.text


def test_the_report_lists_every_tensor(tmp_path):
    found = without("1.bias", "2.bias") | {"x": torch.ones(1), "0.bias": torch.ones(5)}
    torch.save(found, tmp_path / "model.pt")
    report = tmp_path / "run" / "report.json"
    with pytest.raises(HandsegInputError, match=re.escape(f'what fits with "strict": false ({report} lists all).')):
        load_weights(network(), tmp_path / "model.pt", report=report)
    values = {name: tensor.numel() for name, tensor in state().items()}
    assert json.loads(report.read_text()) == {
        "weights": str(tmp_path / "model.pt"),
        "share": pytest.approx(1 - (values["1.bias"] + values["2.bias"] + values["0.bias"]) / sum(values.values())),
        "missing": ["1.bias", "2.bias"],
        "unexpected": ["x"],
        "other_shape": {"0.bias": {"file": [5], "network": [4]}},
    }


def test_the_list_is_logged_when_no_report_is_wanted(tmp_path, caplog):
    torch.save(without("1.weight", "1.bias", "0.bias", "2.bias"), tmp_path / "model.pt")
    with caplog.at_level(logging.INFO), pytest.raises(HandsegInputError):
        load_weights(network(), tmp_path / "model.pt")
    assert '"missing": ["0.bias", "1.weight", "1.bias", "2.bias"]' in caplog.text


def test_the_share_is_one_of_values_not_of_tensors(tmp_path):
    """The head holds 145 of the network's 202 values, in two of its nine tensors."""
    torch.save(without("2.weight", "2.bias"), tmp_path / "model.pt")
    load_weights(network(), tmp_path / "model.pt", strict=False, min_share=57 / 202)
    with pytest.raises(HandsegInputError, match="fills 28% of the network instead of 50% or more: it lacks 2"):
        load_weights(network(), tmp_path / "model.pt", strict=False)


def test_weights_that_fit_leave_no_word(tmp_path, caplog):
    torch.save(state(), tmp_path / "model.pt")
    with caplog.at_level(logging.INFO):
        load_weights(network(), tmp_path / "model.pt")
    assert not caplog.messages


def test_settings_that_differ_from_the_training_are_named(tmp_path, caplog):
    save_weights(network(), tmp_path / "model.pt", settings={"image_size": 512}, epoch=3)
    load_weights(network(), tmp_path / "model.pt", settings={"image_size": 512, "unknown": 1})
    assert not caplog.messages
    load_weights(network(), tmp_path / "model.pt", settings={"image_size": 256})
    (message,) = caplog.messages
    assert "trained with image_size 512 and is used with 256" in message


def test_other_settings_are_named_even_if_the_weights_are_refused(tmp_path, caplog):
    """They say why the tensors differ."""
    save_weights(network(width=8), tmp_path / "model.pt", settings={"width": 8})
    with pytest.raises(HandsegInputError):
        load_weights(network(), tmp_path / "model.pt", settings={"width": 4})
    assert "trained with width 8 and is used with 4" in caplog.text
