"""Stands in for SimpleITK, which MONAI Label imports for formats that this server does not use."""
