"""How the pages are built: ``sphinx-build -n -W docs OUT``, without the internet.

No inventory of another project is fetched, so names that live elsewhere are listed here as such
instead of being resolved.
"""
# ruff: noqa: INP001  - Sphinx runs this file by its path; it is no module of a package

from __future__ import annotations

from importlib.metadata import version as version_of

project = "Stage3"
author = "The Stage3 authors"
copyright = "The Stage3 authors"  # noqa: A001  - Sphinx's name for it
release = version_of("stage3-plugin")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples", "benchmarks"]
suppress_warnings: list[str] = []

html_theme = "furo"
html_title = f"Stage3 {release}"
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 3

autodoc_class_signature = "separated"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types where the names do not
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are described once, in its class

nitpick_ignore_regex = [
    # bases and types of the standard library and of libraries whose inventories are not fetched
    (r"py:.*", r"(pathlib|decimal|datetime|collections|contextlib|enum|typing|anyio)\..*"),
    (r"py:.*", r"(pydantic|pluggy|structlog)\..*"),
    (r"py:.*", r"_thread\..*"),
    (r"py:.*", r"Namespace|ArgumentParser|Progress"),  # argparse's, and an alias of a callable
]
