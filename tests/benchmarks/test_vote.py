"""The benchmark of votes: members that differ a little, and ways that agree."""

from __future__ import annotations

import numpy as np
import torch

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.ensemble.vote import vote_codes
from handseg_bundle_common.formats.rle import encode_masks
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.metrics import dice


def test_members_are_the_sample_hands_bent_a_little(script, tmp_path):
    hands = script.enlarged_hands(2, 512)
    paths, bones = script.write_members(hands, 3, tmp_path)
    assert [path.name for path in paths] == ["member0.csv", "member1.csv", "member2.csv"]
    assert len(bones) == 2 * len(BONE_NAMES)
    assert all(len(codes) == 3 for codes in bones)
    hand = next(iter(hands.values()))
    scores = dice(*(torch.from_numpy(unpack_masks(m)) for m in (script.bent(hand, np.random.default_rng(0)), hand)))
    assert 0.7 < scores.min() < scores.max() < 1


def test_all_ways_give_the_same_codes(script):
    generator = np.random.default_rng(0)
    members = [encode_masks(generator.integers(0, 1 << 29, (16, 16), np.uint32)) for _ in range(5)]
    for codes in zip(*members, strict=True):
        voted = vote_codes(codes, 3)
        assert voted == script.vote_summed(codes, 3, 16) == script.vote_counted(codes, 3, 16)
