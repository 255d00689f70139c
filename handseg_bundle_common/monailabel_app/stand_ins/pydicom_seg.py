"""Stands in for pydicom_seg, which MONAI Label imports for formats that this server does not use."""
