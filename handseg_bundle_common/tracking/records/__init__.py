"""Experiment records: what was expected of a run, what changed, what came of it, and what follows."""

from handseg_bundle_common.tracking.records.check import check_records
from handseg_bundle_common.tracking.records.document import Problem
from handseg_bundle_common.tracking.records.index import write_index
from handseg_bundle_common.tracking.records.write import Source, fill_record, new_record

__all__ = ["Problem", "Source", "check_records", "fill_record", "new_record", "write_index"]
