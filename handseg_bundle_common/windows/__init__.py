"""Windows at evaluation: how a network that sees a part of a radiograph at a time predicts the whole.

`WindowInferer` lays a fixed grid over the radiograph, `BoneWindowInferer` puts windows where bone is, and
`CanvasInferer` is for networks that cut windows themselves. `window_inferer` chooses by a word, for configurations.
"""

from handseg_bundle_common.windows.choice import PLACEMENTS, window_inferer
from handseg_bundle_common.windows.inferers import CanvasInferer, WindowInferer
from handseg_bundle_common.windows.on_bone import BoneWindowInferer

__all__ = ["PLACEMENTS", "BoneWindowInferer", "CanvasInferer", "WindowInferer", "window_inferer"]
