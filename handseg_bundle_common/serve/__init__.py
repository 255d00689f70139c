"""A local page, and the same over HTTP: drop a radiograph, see its bones; needs the extra `serve`."""

from handseg_bundle_common.serve.app import create_app
from handseg_bundle_common.serve.limits import Limits
from handseg_bundle_common.serve.server import check_host, serve

__all__ = ["Limits", "check_host", "create_app", "serve"]
