"""Check for outlines that occur twice: in one bone, in two bones of a radiograph, or in two radiographs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from handseg_bundle_common.anatomy import BONES, CHANNEL
from handseg_bundle_common.datasets.check_faults import Fault, FaultKind
from handseg_bundle_common.datasets.moments import Moments
from handseg_bundle_common.formats.boostcamp import Annotations, Ring

# Two bones have the same outline if their areas, centroids and covariances differ by no more than this share of the
# area, of its root and of the covariance; no two of 1440 simulated hands come as near.
_MAX_DIFFERENCE = 0.05


def repeated_rings(annotations: Annotations) -> list[Fault]:
    """Return a fault for every bone of which a ring is given more than once, wherever the ring starts."""
    faults: list[Fault] = []
    for bone, rings in annotations.items():
        repeated = len(rings) - len({_fingerprint(ring) for ring in rings})
        if repeated:
            problem = f"{repeated} of {len(rings)} rings repeat another"
            faults.append(Fault(FaultKind.REPEATED_RING, problem, bone=bone))
    return faults


def copied_bones(bones: Mapping[str, Moments]) -> list[Fault]:
    """Return a fault for each of two bones with nearly the same outline, of which one was pasted over.

    Args:
        bones: area moments by bone name.
    """
    pairs = [pair for pair in combinations(bones, 2) if _is_same(bones[pair[0]], bones[pair[1]])]
    return [
        Fault(FaultKind.COPIED_BONE, f"has the outline of {b} ({BONES[CHANNEL[b]].anatomical_name})", bone=a)
        for pair in pairs
        for a, b in (pair, pair[::-1])
    ]


def copied_images(images: Sequence[tuple[str, Annotations]]) -> list[list[Fault]]:
    """Return, for every image, a fault if it shares rings with another; the one with the most is named.

    Args:
        images: names and usable rings, one entry a polygon file.
    """
    prints = [{_fingerprint(ring) for rings in annotations.values() for ring in rings} for _, annotations in images]
    owners: defaultdict[bytes, list[int]] = defaultdict(list)
    for number, rings in enumerate(prints):
        for ring in rings:
            owners[ring].append(number)
    faults: list[list[Fault]] = []
    for number, rings in enumerate(prints):
        shared = Counter(other for ring in rings for other in owners[ring] if other != number)
        faults.append([])
        if shared:
            other, count = min(shared.items(), key=lambda item: (-item[1], item[0]))
            problem = f"{count} of {len(rings)} rings are those of {images[other][0]}"
            faults[-1].append(Fault(FaultKind.COPIED_POLYGONS, problem))
    return faults


def _fingerprint(ring: Ring) -> bytes:
    """Return the vertices regardless of their order, which exports may begin anywhere."""
    return np.unique(ring, axis=0).tobytes()


def _is_same(one: Moments, other: Moments) -> bool:
    limit = _MAX_DIFFERENCE
    return bool(
        abs(one.area - other.area) <= limit * one.area
        and np.linalg.norm(one.centroid - other.centroid) <= limit * one.area**0.5
        and np.linalg.norm(one.covariance - other.covariance) <= limit * np.linalg.norm(one.covariance)
    )
