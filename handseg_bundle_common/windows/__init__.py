"""Windows at evaluation: how a network that sees a part of a radiograph at a time predicts the whole.

`WindowInferer` lays a fixed grid over the radiograph, `BoneWindowInferer` puts windows where bone is, and
`CanvasInferer` is for networks that cut windows themselves.
"""

from handseg_bundle_common.windows.inferers import CanvasInferer, WindowInferer
from handseg_bundle_common.windows.on_bone import BoneWindowInferer

__all__ = ["BoneWindowInferer", "CanvasInferer", "WindowInferer"]
