"""Bounded distributions that the simulator draws numbers from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Distribution(Protocol):
    """A bounded distribution of one number; the bounds let tests compare the ranges of two presets."""

    @property
    def low(self) -> float:
        """Smallest value."""

    @property
    def high(self) -> float:
        """Largest value."""

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""


@dataclass(frozen=True)
class Uniform:
    """Equally likely values from `low` to `high`."""

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""
        return float(generator.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """Values from `low` to `high` whose logarithms are equally likely."""

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""
        return float(math.exp(generator.uniform(math.log(self.low), math.log(self.high))))


@dataclass(frozen=True)
class Normal:
    """A normal distribution, clipped at `reach` standard deviations."""

    mean: float
    sd: float
    reach: float = 3.0

    @property
    def low(self) -> float:
        """Smallest value."""
        return self.mean - self.reach * self.sd

    @property
    def high(self) -> float:
        """Largest value."""
        return self.mean + self.reach * self.sd

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""
        return float(np.clip(generator.normal(self.mean, self.sd), self.low, self.high))
