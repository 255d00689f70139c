"""The model that MLflow loads: a bundle from the content of radiograph files to rows of the submission.

MLflow runs a copy of this file, see its models from code. The content of files comes in instead of pixels, so that
bit depth, inversion and orientation are treated as in `handseg predict`, and instead of paths, so that a server can
be asked from another machine and reads no files of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.formats.rle import COLUMNS, encode_masks
from handseg_bundle_common.inference import load_predictor


class BundleModel(PythonModel):
    """Segments radiographs with the bundle among the model's artifacts."""

    def load_context(self, context: Any) -> None:
        """Load the bundle with its weights, on the GPU if there is one."""
        self.predictor = load_predictor(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Segment radiographs.

        Args:
            context: given by MLflow.
            model_input: a row an image, with `image_name`, whose suffix tells the format, and the file's `content`.
            params: none are known.

        Returns:
            `image_name`, `class` and `rle` of every image and bone, as `handseg predict` writes them.

        Raises:
            HandsegInputError: a radiograph cannot be read.
        """
        rows = [row for name, content in _pairs(model_input) for row in self._segment(name, content)]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _segment(self, name: str, content: bytes) -> list[tuple[str, str, str]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePath(name).name)
            path.write_bytes(content)
            codes = encode_masks(self.predictor(path))
        return [(name, bone, code) for bone, code in zip(BONE_NAMES, codes, strict=True)]


def _pairs(images: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    return zip(images["image_name"], images["content"], strict=True)


set_model(BundleModel())
