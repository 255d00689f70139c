"""Files of weights that would take more memory than they have bytes, refused before and after they are read."""

from __future__ import annotations

import mmap
import os
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import torch
from torch import Tensor

_ZIP = b"PK\x03\x04"
_BYTEARRAY = b"bytearray\n"
"""How a pickle names the one class that PyTorch's safe loader allows and that fills memory with a single number."""

_SMALL = 2**20
"""So many bytes a tensor may take without having them in the file, as an expanded scalar does."""


def hidden_size(file: BinaryIO) -> str | None:
    """Return what would make a file larger in memory than on the disk; None if nothing does.

    PyTorch packs nothing in the archives that it writes, but unpacks whatever it reads.

    Args:
        file: open file, read from its beginning; its position afterwards is anywhere.

    Raises:
        zipfile.BadZipFile: the file begins as an archive and is none.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(_ZIP)) == _ZIP:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            return "is packed, which no training does"
        if sum(entry.file_size for entry in entries) > size:
            return "holds entries that share bytes"
    if size:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(_BYTEARRAY) >= 0:
                return "holds a bytearray, which can fill the memory"
    return None


def oversized_tensor(state: Mapping[str, Tensor]) -> str | None:
    """Return the name of a tensor that is not dense, or is larger than the part of the file that it stands in."""
    return next((name for name, tensor in state.items() if _is_oversized(tensor)), None)


def _is_oversized(tensor: Tensor) -> bool:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        return True
    size = tensor.numel() * tensor.element_size()
    return size > max(tensor.untyped_storage().nbytes(), _SMALL)
