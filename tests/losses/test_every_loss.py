"""What every loss for overlapping masks must do."""

from __future__ import annotations

import pytest
import torch
from monai.bundle import ConfigParser

from handseg_bundle_common import losses

WEIGHTS = {"Pisiform": 2.0, "Trapezoid": 2.0}
every_loss = pytest.mark.parametrize("loss", [getattr(losses, name)() for name in losses.__all__], ids=losses.__all__)


@every_loss
def test_bones_do_not_compete(loss: torch.nn.Module) -> None:
    """A pixel of two bones costs nothing when both are certain: no softmax anywhere."""
    certain = torch.full((1, 3, 4, 4), 30.0)
    assert loss(certain, torch.ones_like(certain)).item() == pytest.approx(0, abs=1e-6)


@every_loss
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_every_channel_counts_the_first_too(loss: torch.nn.Module, channel: int) -> None:
    target = torch.ones((1, 3, 20, 20))
    logits = torch.full((1, 3, 20, 20), 30.0)
    logits[:, channel] = -3.0
    assert loss(logits, target).item() > 0.3


@every_loss
def test_a_bone_that_is_absent_and_not_predicted_costs_nothing(loss: torch.nn.Module) -> None:
    target = torch.ones((1, 2, 4, 4))
    target[:, 1] = 0
    assert loss((2 * target - 1) * 40, target).item() == pytest.approx(0, abs=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_neither_overflow_nor_lose(loss: torch.nn.Module, dtype: torch.dtype) -> None:
    """A bone that covers half of a radiograph and one of a few pixels, against the same logits in float64."""
    generator = torch.Generator().manual_seed(0)
    target = torch.zeros((1, 2, 2048, 2048), dtype=torch.uint8)
    target[0, 0, :1024] = target[0, 1, 5:30, 5:30] = 1
    logits = (torch.randn(target.shape, generator=generator) - 6 + 12 * target).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits, target)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(logits.double(), target).item(), rel=1e-4)


@every_loss
def test_gradient_reaches_half_precision_logits(loss: torch.nn.Module) -> None:
    logits = torch.zeros((1, 2, 3, 3), dtype=torch.float16, requires_grad=True)
    loss(logits, torch.ones_like(logits)).backward()
    assert logits.grad is not None
    assert (logits.grad < 0).all()


@pytest.mark.parametrize("name", losses.__all__)
def test_state_holds_no_weights(name: str) -> None:
    """Weights come from the recipe; a checkpoint of another must not bring its own."""
    assert getattr(losses, name)(bone_weights=WEIGHTS).state_dict() == {}


def test_a_recipe_can_name_all_of_it() -> None:
    config = {
        "max_epochs": 9,
        "loss": {
            "_target_": "handseg_bundle_common.losses.DiceBCELoss",
            "dice_weight": [[1, 1.0], ["@max_epochs", 5.0]],
            "bone_weights": WEIGHTS,
        },
    }
    loss = ConfigParser(config).get_parsed_content("loss")
    loss.set_epoch(5)
    assert loss.dice_weight == 3.0
