"""Charts of an error analysis."""

from handseg_bundle_common.analysis.figures.bones import boundary_chart, dice_chart, difference_chart
from handseg_bundle_common.analysis.figures.confusion import confusion_chart
from handseg_bundle_common.analysis.figures.images import size_chart, wrist_chart
from handseg_bundle_common.charts import Chart, save_chart

__all__ = [
    "Chart",
    "boundary_chart",
    "confusion_chart",
    "dice_chart",
    "difference_chart",
    "save_chart",
    "size_chart",
    "wrist_chart",
]
