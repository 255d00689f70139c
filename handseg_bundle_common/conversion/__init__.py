"""Masks from one format to another, in folders of any size."""

from handseg_bundle_common.conversion.convert import Conversion, convert
from handseg_bundle_common.conversion.kinds import FORMATS, check_formats
from handseg_bundle_common.conversion.sinks import Sink, open_sink

__all__ = ["FORMATS", "Conversion", "Sink", "check_formats", "convert", "open_sink"]
