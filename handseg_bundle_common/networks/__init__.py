"""Segmentation networks: images in, logits of one channel a bone out."""

from handseg_bundle_common.networks.effisegnet import EffiSegNet
from handseg_bundle_common.networks.segformer import SegFormer
from handseg_bundle_common.networks.swin_unetr import SwinUNETR
from handseg_bundle_common.networks.unetplusplus import UNetPlusPlus

__all__ = ["EffiSegNet", "SegFormer", "SwinUNETR", "UNetPlusPlus"]
