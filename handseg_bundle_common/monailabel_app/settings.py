"""What the server was started with; it reaches the processes that train and score by the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from handseg_bundle_common.errors import HandsegInputError

STAND_INS = Path(__file__).parent / "stand_ins"

_BUNDLES, _LABELS = "HANDSEG_LABEL_BUNDLES", "HANDSEG_LABEL_FOLDER"
_AUTHENTICATION = "MONAI_LABEL_AUTH_ENABLE"
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Settings:
    """What the app needs to know.

    Attributes:
        bundles: folders of bundles.
        labels: folder of everything that the server writes; None for `labels` among the radiographs.
    """

    bundles: tuple[str, ...] = ()
    labels: str | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables from which `read_settings` makes these settings again."""
        return {_BUNDLES: os.pathsep.join(self.bundles), _LABELS: self.labels or ""}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of the environment."""
    bundles = tuple(filter(None, environment.get(_BUNDLES, "").split(os.pathsep)))
    return Settings(bundles, environment.get(_LABELS) or None)


def check_host(host: str, environment: Mapping[str, str]) -> bool:
    """Return whether a network interface is of this machine alone.

    Raises:
        HandsegInputError: it is not, and nobody has to log in.
    """
    if host in _LOCAL:
        return True
    if environment.get(_AUTHENTICATION, "").lower() not in ("1", "true", "yes", "on"):
        remedy = f"use 127.0.0.1, or set {_AUTHENTICATION}=true and the realm of your Keycloak (docs/monai-label.md)"
        raise HandsegInputError("--host", f"{host} lets everybody in the network see and change radiographs", remedy)
    return False
