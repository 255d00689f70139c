"""A server for annotation with MONAI Label: the bundles segment, people correct, and the bundles learn from it.

MONAI Label itself is imported in `app.py`, `main.py`, `dicomweb.py` and, when it starts, by `launch.py` only; it lives
in an environment of its own, which `make label` builds. All else here works and is tested without it.
"""
