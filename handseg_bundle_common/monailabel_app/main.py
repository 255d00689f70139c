"""The file that MONAI Label looks for in the folder of an app; it takes the class from here."""

from handseg_bundle_common.monailabel_app.app import HandsegLabelApp

__all__ = ["HandsegLabelApp"]
