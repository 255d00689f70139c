"""The verb serve."""

from __future__ import annotations

import logging

from handseg_bundle_common.cli.arguments import Job, check_values, number_of, yes_or_no
from handseg_bundle_common.errors import HandsegInputError

_logger = logging.getLogger(__name__)
# The first of these that has weights is the default one; the others follow.
_FIRST = "ensemble"


def serve(
    *,
    bundle: str | None = None,
    port: int | str = 8000,
    host: str = "127.0.0.1",
    device: str = "auto",
    minutes: float | str = 30,
    trust: bool = False,
) -> Job:
    """Serve a page on this computer: drop a radiograph, see and measure its bones, compare bundles, download masks.

    Needs the extra serve (pip install "handseg[serve]"). Nothing leaves this computer; pictures and masks are deleted
    after some minutes without use, and when the server ends (Ctrl+C).

    Args:
        bundle: names, folders or archives of the bundles that can be chosen, separated by commas, the default one
            first; by default all known ones that have weights. Those from elsewhere are verified first.
        port: the page is http://127.0.0.1:PORT; 0 takes any that is free.
        host: 127.0.0.1 or localhost; other computers cannot be let in.
        device: auto, cpu, cuda or cuda:1.
        minutes: how long a radiograph is kept without use.
        trust: True goes on past configurations and code that verify refuses. This can run whatever they say.
    """
    check_values(bundle=bundle, port=port, host=host, device=device, minutes=minutes)
    number, kept = number_of("port", port, int), number_of("minutes", minutes, float)
    trusted = yes_or_no("trust", trust)

    def start() -> str:
        try:
            from handseg_bundle_common import serve as server  # noqa: PLC0415
        except ModuleNotFoundError as error:
            problem = f"needs {error.name}, which is not installed"
            raise HandsegInputError("serve", problem, 'install it with pip install "handseg[serve]"') from error
        server.check_host(host)
        limits = server.Limits(minutes=kept)
        folders = _named(bundle, trusted) if bundle else _known()
        server.serve(folders, host=host, port=number, device=device, limits=limits, announce=_announce)
        return "Ended; all radiographs and masks are deleted."

    return Job(start)


def _announce(address: str) -> None:
    print(f"The page is {address} (end with Ctrl+C)", flush=True)


def _named(bundles: str, trusted: bool) -> dict[str, str]:
    """Return the folders of the bundles that are named, by name."""
    from pathlib import Path  # noqa: PLC0415

    from handseg_bundle_common.packaging import open_bundle  # noqa: PLC0415

    folders: dict[str, str] = {}
    for given in (part.strip() for part in bundles.split(",")):
        name = Path(given).name
        if name in folders:
            raise HandsegInputError("--bundle", f"names {name} twice", "rename one of the folders")
        folders[name] = open_bundle(given, trust=trusted)
    return folders


def _known() -> dict[str, str]:
    """Return the folders of all known bundles that have weights, by name."""
    from handseg_bundle_common.packaging import open_bundle  # noqa: PLC0415
    from handseg_bundle_common.weights import known_bundles  # noqa: PLC0415

    folders: dict[str, str] = {}
    for folder in sorted(known_bundles(), key=lambda folder: (folder.name != _FIRST, folder.name)):
        if folder.name in folders or not (folder / "models" / "model.pt").is_file():
            continue
        try:
            folders[folder.name] = open_bundle(str(folder))
        except HandsegInputError as error:
            _logger.warning("%s is left out: %s", folder.name, error)
    return folders
