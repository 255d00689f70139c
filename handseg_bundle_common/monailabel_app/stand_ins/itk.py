"""Stands in for itk, which MONAI Label imports for formats that this server does not use."""
