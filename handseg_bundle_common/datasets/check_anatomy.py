"""Check of where the bones of a radiograph lie: on the side that the name says, and each in its own place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from handseg_bundle_common.anatomy import BONES, CHANNEL, MEAN_CENTROIDS, Group, Side, bones_of
from handseg_bundle_common.datasets.check_faults import Fault, FaultKind
from handseg_bundle_common.datasets.moments import Vector

Centroids = Mapping[str, Vector]

# Centroids along each of these follow one another in every posteroanterior radiograph: rows from radial to ulnar, rays
# and columns from distal to proximal. The row of tips leaves out the thumb's, which may lie beside the index finger.
_ROWS = (
    ("Trapezium", "Trapezoid", "Capitate", "Hamate"),
    ("Scaphoid", "Lunate", "Triquetrum"),
    ("finger-3", "finger-7", "finger-11", "finger-15", "finger-19"),
    ("finger-2", "finger-6", "finger-10", "finger-14", "finger-18"),
    ("finger-5", "finger-9", "finger-13", "finger-17"),
    ("finger-4", "finger-8", "finger-12", "finger-16"),
    ("Radius", "Ulna"),
)
_RAYS = (
    ("finger-1", "finger-2", "finger-3"),
    ("finger-4", "finger-5", "finger-6", "finger-7"),
    ("finger-8", "finger-9", "finger-10", "finger-11"),
    ("finger-12", "finger-13", "finger-14", "finger-15"),
    ("finger-16", "finger-17", "finger-18", "finger-19"),
)
_COLUMNS = (
    ("finger-3", "Trapezium", "Scaphoid", "Radius"),
    ("finger-11", "Capitate", "Lunate", "Radius"),
    ("finger-19", "Hamate", "Triquetrum", "Ulna"),
)
# The ulnar direction is the mean over these pairs. They leave the carpals out, whose order is what annotators mistake.
_ULNAR_PAIRS = (("finger-7", "finger-19"), ("finger-6", "finger-18"), ("finger-5", "finger-17"), ("Radius", "Ulna"))

# Bones of the wrist and around it, whose places differ little from hand to hand.
_WRIST = tuple(bone.name for group in (Group.METACARPALS, Group.CARPALS, Group.FOREARM) for bone in bones_of(group))
# Fewer fit the mean hand by chance.
_FEWEST_TO_FIT = 5
# Taking bones for others must lessen the squares of their distances from the mean hand by so much a bone, in units of
# `MEAN_CENTROIDS`: more than the pisiform's may, which overlaps the triquetrum and lies on any side of its centroid.
_MIN_GAIN = 20.0

# Fewer bones of a group do not tell where its middle is.
_FEWEST_SHARE = 0.5

# One exchange puts at most so many bones out of order; more need no search for it.
_MOST_OF_AN_EXCHANGE = 8

# Sine of the angle between the distal and the ulnar direction below which a hand has no clear side; 0.94 and more
# in simulated hands.
_CLEAR_SIDE = 0.3


def side_faults(centroids: Centroids, side: Side) -> list[Fault]:
    """Return a fault if the bones lie like those of the other hand: the thumb of a right hand lies on the left.

    Args:
        centroids: x, y by bone name.
        side: what the file name says.
    """
    found = _side(centroids)
    if found is None or found is side:
        return []
    words = {Side.LEFT: "left", Side.RIGHT: "right"}
    problem = f"the name says {words[side]}, but the bones lie like those of a {words[found]} hand"
    return [Fault(FaultKind.WRONG_SIDE, problem)]


def order_faults(centroids: Centroids) -> list[Fault]:
    """Return a fault for every bone that lies where another is expected: in its ray, row or column, or in the wrist.

    Two bones are named if exchanging their labels puts everything right; otherwise all that lie out of order are. Not
    looked for are exchanges of pisiform and triquetrum, which overlap and which `size_faults` tells apart, and of
    phalanges one further along on the next finger (finger-9 and finger-12, finger-13 and finger-16), which may lie on
    either side of each other.

    Args:
        centroids: x, y by bone name.
    """
    misplaced = _misplaced(centroids)
    for a, b in _pairs_to_try(misplaced, centroids):
        if not _misplaced({**centroids, a: centroids[b], b: centroids[a]}):
            misplaced = {a: b, b: a}
            break
    return [
        Fault(FaultKind.WRONG_ORDER, f"lies where {b} ({BONES[CHANNEL[b]].anatomical_name}) is expected", bone=a)
        for a, b in misplaced.items()
    ]


def _misplaced(centroids: Centroids) -> dict[str, str]:
    """Return every bone that lies where another is expected, with that other.

    A chain's direction is the principal axis of its centroids, which exchanged labels do not change. Rays come before
    rows and these before columns, and a bone in a wrong place is left out of later chains, so that it does not put
    the blame on theirs; last, the wrist is laid over that of the mean hand.
    """
    ulnar, proximal = _ulnar_direction(centroids), _proximal_direction(centroids)
    misplaced: dict[str, str] = {}
    for chains, towards in ((_RAYS, proximal), (_ROWS, ulnar), (_COLUMNS, proximal)):
        if towards is None:
            continue
        for chain in chains:
            names = [name for name in chain if name in centroids and name not in misplaced]
            ranked = _ranked(names, centroids, towards)
            misplaced |= {name: place for name, place in zip(ranked, names, strict=True) if name != place}
    return misplaced | _misplaced_in_wrist({name: at for name, at in centroids.items() if name not in misplaced})


def _misplaced_in_wrist(centroids: Centroids) -> dict[str, str]:
    """Return every bone of the wrist that lies where the mean hand has another, with that other.

    The mean hand is laid over the centroids by the best shift, turn and scale (Procrustes analysis, Gower,
    Psychometrika 40:33, 1975); the bones are then assigned to its places at the least sum of squared distances.
    """
    names = [name for name in _WRIST if name in centroids]
    side = _side(centroids)
    if side is None or len(names) < _FEWEST_TO_FIT:
        return {}
    found = np.array([centroids[name] for name in names]) @ [1, 1j if side is Side.RIGHT else -1j]
    mean_hand = np.array([MEAN_CENTROIDS[CHANNEL[name]] for name in names]) @ [1, 1j]
    found, mean_hand = found - found.mean(), mean_hand - mean_hand.mean()
    fitted = found * np.vdot(mean_hand, mean_hand) / np.vdot(mean_hand, found)
    costs = np.abs(fitted[:, None] - mean_hand) ** 2 - _MIN_GAIN * np.eye(len(names))
    return {names[a]: names[b] for a, b in zip(*linear_sum_assignment(costs), strict=True) if a != b}


def _pairs_to_try(misplaced: Collection[str], centroids: Centroids) -> Iterator[tuple[str, str]]:
    """Yield pairs whose exchange may explain a few misplaced bones: both of these, or one and another of its chains."""
    if len(misplaced) > _MOST_OF_AN_EXCHANGE:
        return
    yield from combinations(misplaced, 2)
    for a in misplaced:
        for chain in (*_RAYS, *_ROWS, *_COLUMNS, _WRIST):
            yield from ((a, b) for b in chain if a in chain and b in centroids and b not in misplaced)


def _side(centroids: Centroids) -> Side | None:
    """Return the side of the hand by the order of its bones; None when they leave it open."""
    ulnar, proximal = _ulnar_direction(centroids), _proximal_direction(centroids)
    if ulnar is None or proximal is None:
        return None
    turn = float(ulnar[0] * proximal[1] - ulnar[1] * proximal[0])
    if abs(turn) < _CLEAR_SIDE:
        return None
    return Side.RIGHT if turn > 0 else Side.LEFT


def _ulnar_direction(centroids: Centroids) -> Vector | None:
    """Return the unit vector from the radial to the ulnar side; None without bones that show it."""
    steps = [centroids[b] - centroids[a] for a, b in _ULNAR_PAIRS if a in centroids and b in centroids]
    return _unit(sum((_unit(step) for step in steps), np.zeros(2))) if steps else None


def _proximal_direction(centroids: Centroids) -> Vector | None:
    """Return the unit vector from the metacarpals of the fingers to the wrist; None without bones that show it."""
    hand = _mean(centroids, [bone.name for bone in bones_of(Group.METACARPALS)[1:]])
    wrist = _mean(centroids, [bone.name for bone in (*bones_of(Group.CARPALS), *bones_of(Group.FOREARM))])
    return None if hand is None or wrist is None else _unit(wrist - hand)


def _ranked(names: Sequence[str], centroids: Centroids, towards: Vector) -> list[str]:
    """Return the bones in the order of their centroids along the principal axis of these."""
    if len(names) < 2:
        return list(names)
    points = np.array([centroids[name] for name in names])
    axis = np.linalg.svd(points - points.mean(axis=0))[2][0]
    places = points @ (axis if axis @ towards > 0 else -axis)
    return [names[n] for n in np.argsort(places, kind="stable")]


def _mean(centroids: Centroids, names: Sequence[str]) -> Vector | None:
    """Return the mean of a group; None where so few of its bones are there that it would lie to one side."""
    points = [centroids[name] for name in names if name in centroids]
    return np.asarray(np.mean(points, axis=0)) if len(points) > _FEWEST_SHARE * len(names) else None


def _unit(vector: Vector) -> Vector:
    """Return a vector's direction; that of no length stays so."""
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
