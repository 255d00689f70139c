"""One HTML page that shows what a model got wrong; it needs no other file and no network."""

from handseg_bundle_common.analysis.report.page import REPORT, write_report

__all__ = ["REPORT", "write_report"]
