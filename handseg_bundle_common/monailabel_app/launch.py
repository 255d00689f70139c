"""`python -m handseg_bundle_common.monailabel_app.launch`: the server, on this machine alone unless people log in."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from handseg_bundle_common.errors import EXIT_CODE, HandsegInputError
from handseg_bundle_common.monailabel_app.guard import Guard, answer_to
from handseg_bundle_common.monailabel_app.settings import STAND_INS, Settings, check_host
from handseg_bundle_common.packaging import open_bundle
from handseg_bundle_common.weights import known_bundles

_APP = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the server and return its exit code: 0 when it was stopped, 2 after one sentence about bad input."""
    options = _parser().parse_args(arguments)
    try:
        is_local = check_host(options.host, os.environ)
        studies = _studies(options.studies)
        _check_port(options.port)
        with tempfile.TemporaryDirectory(prefix="handseg-label-") as private:
            _prepare(options, studies, private)
            _serve(options.host, options.port, is_local)
    except HandsegInputError as error:
        print(f"handseg: {error}", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make label", description="MONAI Label with the bundles of handseg")
    parser.add_argument("--studies", required=True, help="folder of radiographs, or address of a DICOMweb archive")
    parser.add_argument("--labels", help="folder of labels and fine-tuned weights, STUDIES/labels by default")
    parser.add_argument("--bundles", default="", help="bundles separated by commas, all with weights by default")
    parser.add_argument("--host", default="127.0.0.1", help="network interface")
    parser.add_argument("--port", type=int, default=8000)
    return parser


def _studies(text: str) -> str:
    if text.startswith(("http://", "https://")):
        return text.rstrip("/")
    if not Path(text).is_dir():
        raise HandsegInputError(text, "is not a folder", "name the folder of your radiographs with STUDIES")
    return str(Path(text).absolute())


def _check_port(port: int) -> None:
    if not 0 < port < 2**16:
        raise HandsegInputError("--port", f"{port} is no port", "choose 1024 to 65535")


def bundles_to_serve(given: Sequence[str]) -> list[str]:
    """Return the folders of bundles that may run: those that are named, or else all that have weights.

    Raises:
        HandsegInputError: a bundle is not there, or is refused (`packaging.open_bundle`).
    """
    if given:
        return [open_bundle(name) for name in given]
    found = {folder.name: folder for folder in reversed(known_bundles()) if (folder / "models" / "model.pt").is_file()}
    return [open_bundle(str(found[name])) for name in sorted(found)]


def _prepare(options: argparse.Namespace, studies: str, private: str) -> None:
    """Tell MONAI Label, and the processes that it starts, what to do."""
    labels = options.labels and str(Path(options.labels).absolute())
    if studies.startswith("http") and not labels:
        raise HandsegInputError("--labels", "is missing", "name a folder for labels of an archive's radiographs")
    bundles = bundles_to_serve([name.strip() for name in options.bundles.split(",") if name.strip()])
    own_pages = [f"http://{name}:{options.port}" for name in ("127.0.0.1", "localhost")]
    os.environ.setdefault("MONAI_LABEL_CORS_ORIGINS", json.dumps(own_pages))
    os.environ.setdefault("MONAI_LABEL_DICOMWEB_SEARCH_FILTER", json.dumps({"Modality": ["DX", "CR"]}))
    os.environ |= Settings(tuple(bundles), labels or None).environment() | {
        "MONAI_LABEL_APP_DIR": str(_APP),
        "MONAI_LABEL_STUDIES": studies,
        "MONAI_LABEL_SERVER_PORT": str(options.port),
        "MONAI_LABEL_SESSION_PATH": str(Path(private, "sessions")),
        "MONAI_LABEL_TRACKING_ENABLED": "false",
        # What clients send is kept where nobody else looks, and goes with the server.
        "TMPDIR": private,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(STAND_INS), os.environ.get("PYTHONPATH", "")))),
    }
    tempfile.tempdir = private
    sys.path.insert(0, str(STAND_INS))


def _serve(host: str, port: int, is_local: bool) -> None:
    try:
        import monailabel.app  # noqa: PLC0415
        import uvicorn  # noqa: PLC0415
        from monailabel.config import settings  # noqa: PLC0415
        from monailabel.interfaces.exception import MONAILabelException  # noqa: PLC0415
        from monailabel.interfaces.utils.app import app_instance  # noqa: PLC0415
        from monailabel.utils.async_tasks.utils import background_executors  # noqa: PLC0415
        from starlette.responses import JSONResponse  # noqa: PLC0415
    except ImportError as error:
        remedy = "start it with make label, which installs MONAI Label in an environment of its own"
        raise HandsegInputError("MONAI Label", f"is not installed here ({error.name})", remedy) from error
    # What cannot be used is told now, not with the first request.
    app_instance()
    origins: list[Any] = settings.MONAI_LABEL_CORS_ORIGINS
    # With it, MONAI Label's own processes end before they begin: they print it as JSON, which an address is not.
    os.environ.pop("MONAI_LABEL_CORS_ORIGINS")

    def explain(request: object, error: Exception) -> JSONResponse:
        status, sentence = answer_to(error)
        return JSONResponse({"detail": sentence}, status)

    for kind in (HandsegInputError, MONAILabelException, json.JSONDecodeError):
        monailabel.app.app.add_exception_handler(kind, explain)
    guarded = Guard(monailabel.app.app, is_local=is_local, origins=[str(origin) for origin in origins])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # uvicorn ends by itself, and then passes the signal on: what it leaves behind is to be put away as after Ctrl+C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        uvicorn.run(guarded, host=host, port=port, log_level="info", access_log=False)
    finally:
        _end_tasks(background_executors.values())


def _end_tasks(executors: Iterable[Executor]) -> None:
    """End what trains and scores in the background, for which Python would wait."""
    import psutil  # noqa: PLC0415

    for executor in executors:
        executor.shutdown(wait=False, cancel_futures=True)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
