"""Training windows that depend on seed, epoch and image alone, whatever the number of workers and processes."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from math import ceil
from os import PathLike
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
from monai.data import Dataset
from monai.transforms import Compose, Randomizable
from torch.utils.data import Sampler

from handseg_bundle_common.datasets.sampling_weights import SAMPLING_WEIGHT, Turns, sampling_weight
from handseg_bundle_common.errors import HandsegInputError


@dataclass(frozen=True)
class Draw:
    """One random window: an item of the data in one epoch; `repeat` counts its earlier windows of that epoch."""

    epoch: int
    index: int
    repeat: int = 0


def derive_seed(seed: int, *stream: int) -> int:
    """Return a seed of 32 bits for one of many independent streams of random numbers.

    Source: M. E. O'Neill's seed sequences, as in `numpy.random.SeedSequence` with a spawn key.

    Args:
        seed: the seed of the training, 0 or more.
        stream: numbers that tell the streams apart, such as epoch and index; their count counts too.

    Raises:
        HandsegInputError: the seed is negative.
    """
    if seed < 0:
        raise HandsegInputError("seed", f"{seed} is negative", "choose 0 or more")
    return int(np.random.SeedSequence(seed, spawn_key=stream).generate_state(1)[0])


def require_same(current: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Refuse to continue a training that was started with other values.

    Args:
        current: values in use now by name.
        stored: those of the training's start; a name that one of the two lacks counts as None.

    Raises:
        HandsegInputError: values differ; the sentence names them all.
    """
    names = dict.fromkeys((*current, *stored))
    other = [
        f"{name} {stored.get(name)} instead of {current.get(name)}"
        for name in names
        if stored.get(name) != current.get(name)
    ]
    if other:
        problem = f"the training was started with {', '.join(other)}"
        raise HandsegInputError("resume", problem, "give data and settings as at the start, or start anew")


class SeededBatchSampler(Sampler[list[Draw]]):
    """Batches of `Draw`s in an order that depends on seed and epoch alone.

    W processes with batches of B see the windows of one process with batches of B and W accumulation steps: step by
    step, process r takes batch r of W. Their last batches are filled up with the first windows of the epoch.

    An item with a `sampling_weight` is dealt so many times an epoch on average, see `Turns`. Epochs may then differ by
    a few windows, but never in their number of batches: a last one that stays empty gets the epoch's first window.

    Args:
        dataset: the data. The items that it holds as `data`, if any, must be the same when a training continues.
        batch_size: windows in a batch of one process.
        seed: the seed of the training.
        shuffle: draw a new order every epoch; otherwise the order is that of the data.
        num_replicas: number of processes; that of `torch.distributed` by default.
        rank: number of this process, likewise.

    Raises:
        HandsegInputError: the batch size or a sampling weight is not positive, or an epoch may have no window at all.
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        seed: int = 0,
        *,
        shuffle: bool = True,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise HandsegInputError("batch_size", f"{batch_size} is no size", "choose 1 or more")
        self.num_items = len(dataset)
        items = getattr(dataset, "data", ())
        self.data_digest = _digest(items)
        self.turns = _turns(items, self.num_items, seed)
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.num_replicas: int = idist.get_world_size() if num_replicas is None else num_replicas
        self.rank: int = idist.get_rank() if rank is None else rank
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iterator deals."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of one process in an epoch."""
        return ceil(self.turns.most / (self.batch_size * self.num_replicas))

    def __iter__(self) -> Iterator[list[Draw]]:
        """Deal the batches of this process."""
        draws = self._draws()
        for step in range(len(self)):
            start = (step * self.num_replicas + self.rank) * self.batch_size
            yield draws[start : start + self.batch_size]

    def _draws(self) -> list[Draw]:
        """Return the windows of all processes in an epoch, padded to full batches if there are several."""
        counts = self.turns.counts(self.epoch).tolist()
        draws = [Draw(self.epoch, index, repeat) for index, count in enumerate(counts) for repeat in range(count)]
        if self.shuffle:
            order = np.random.default_rng(derive_seed(self.seed, self.epoch)).permutation(len(draws))
            draws = [draws[place] for place in order]
        if self.num_replicas == 1:
            size = max(len(draws), (len(self) - 1) * self.batch_size + 1)
        else:
            size = len(self) * self.batch_size * self.num_replicas
        return list(islice(cycle(draws), size))

    def state_dict(self) -> dict[str, int | str]:
        """Return what must be the same when a training continues."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "images": self.num_items,
            "data_digest": self.data_digest,
            "batch_size": self.batch_size,
            "processes": self.num_replicas,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the epoch over.

        Raises:
            HandsegInputError: the state is that of other data, batches, processes or another seed.
        """
        require_same(self.state_dict() | {"epoch": state_dict["epoch"]}, state_dict)
        self.epoch = state_dict["epoch"]


def _turns(items: Sequence[Any], num_items: int, seed: int) -> Turns:
    """Return the turns of a data set's items, in an order that the seed draws; without items all have weight 1."""
    weights = [sampling_weight(item) for item in items] or [Fraction(1)] * num_items
    turns = Turns(weights, np.random.default_rng(derive_seed(seed)))
    if weights and not turns.fewest:
        raise HandsegInputError(SAMPLING_WEIGHT, "epochs may have no window at all", "give the images more weight")
    return turns


def _digest(items: Sequence[Any]) -> str:
    """Return a digest of the patients, file names and weights of items in their order, wherever the files lie."""
    return hashlib.sha256(json.dumps([_names(item) + _weights(item) for item in items]).encode()).hexdigest()[:12]


def _weights(item: Any) -> list[str]:
    """Return the sampling weight unless it is 1, so that data without weights keeps its digest."""
    weight = sampling_weight(item)
    return [] if weight == 1 else [str(weight)]


def _names(item: Any) -> list[str]:
    """Return patient and file name, as far as an item has them; macOS may decompose letters of file names (NFD)."""
    if not isinstance(item, Mapping):
        return []
    image = item.get("image")
    name = Path(image).name if isinstance(image, (str, PathLike)) else ""
    names = (item.get("patient", ""), item.get("image_name", name))
    return [unicodedata.normalize("NFC", str(name)) for name in names]


class SeededDataset(Dataset):
    """MONAI's `Dataset` whose random transforms depend on seed, epoch and index alone.

    Args:
        data: data-list items.
        transform: a transform, `Compose` or list of them.
        seed: the seed of the training.
    """

    def __init__(
        self, data: Sequence[Any], transform: Sequence[Callable[..., Any]] | Callable[..., Any] | None, seed: int = 0
    ) -> None:
        super().__init__(data, transform)
        self.seed = seed
        self._random_state = np.random.RandomState(derive_seed(seed))

    def __getitem__(self, index: Draw | int | slice | Sequence[int]) -> Any:
        """Return an item after the transform; a plain number means epoch 0, slices and lists give subsets."""
        if isinstance(index, (slice, Sequence)):
            return super().__getitem__(index)
        draw = index if isinstance(index, Draw) else Draw(0, range(len(self))[index])
        stream = (draw.epoch, draw.index, draw.repeat)
        self._random_state.seed(derive_seed(self.seed, *(stream if draw.repeat else stream[:2])))
        _draw_from(self.transform, self._random_state)
        return self._transform(draw.index)


def _draw_from(transform: Callable[..., Any], state: np.random.RandomState) -> None:
    """Let a transform and those inside it share one random state.

    `Compose.set_random_state` would make a new one for each of them, which takes 3 ms for the training pipeline.
    """
    if isinstance(transform, Compose):
        Randomizable.set_random_state(transform, state=state)
        for inner in transform.transforms:
            _draw_from(inner, state)
    elif isinstance(transform, Randomizable):
        transform.set_random_state(state=state)
