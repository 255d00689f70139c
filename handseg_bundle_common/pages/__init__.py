"""HTML pages that hold all they show: one look, and nothing in them that names could make work."""

from handseg_bundle_common.pages.render import data_uri, png_uri, render_page

__all__ = ["data_uri", "png_uri", "render_page"]
