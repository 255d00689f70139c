"""The cost of networks: what is counted, timed and weighed."""

from __future__ import annotations

import torch

from handseg_bundle_common.networks import EffiSegNet


def test_the_network_is_the_bundles_own(script):
    subject = script.subject("effisegnet", 64)
    expected = EffiSegNet(drop_connect_rate=0.0)
    assert subject.parameters() == sum(p.numel() for p in expected.parameters())
    assert subject.image.shape == (1, 1, 64, 64)


def test_a_training_step_gives_gradients_and_a_prediction_none(script):
    subject = script.subject("effisegnet", 64, batch_size=2)
    subject.predict()
    assert all(p.grad is None for p in subject.network.parameters())
    subject.train()
    assert all(torch.isfinite(p.grad).all() for p in subject.network.parameters())


def test_ways_are_timed_in_turns_after_a_round_that_does_not_count(script):
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert set(script.time_in_turns(ways, rounds=2)) == {"a", "b"}
    assert "".join(calls) == "ababab"
