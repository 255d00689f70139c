"""In which words the tables say what they were measured on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch


def machine() -> str:
    """Return processor, cores, how busy other programs keep them, and PyTorch's version."""
    load = f", {os.getloadavg()[0]:.1f} programs running on average" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores ({_processor()}){load}, PyTorch {torch.__version__}"


def _processor() -> str:
    try:
        told = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        told = None
    return told[1].strip() if told else platform.machine()
