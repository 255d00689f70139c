"""Overlapping masks of the twenty-nine bones of the hand and wrist, in MONAI bundles."""

__version__ = "0.1.0"
