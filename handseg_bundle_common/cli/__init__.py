"""The command `handseg VERB`."""

from handseg_bundle_common.cli.command import main

__all__ = ["main"]
