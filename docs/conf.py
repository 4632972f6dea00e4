"""Settings of the documentation: ``nox -s docs``, or ``sphinx-build -W -n docs docs/_build``."""

from __future__ import annotations

import builtins
import sys
from types import ModuleType
from typing import Any

from docutils import nodes
from pygments.styles.default import DefaultStyle
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.errors import NoUri
from sphinx.util.nodes import make_refnode

from litestar_queues_core import Outcome, TaskExecutionContext, __version__, config, protocols

# What config imports for type checkers only: without it autodoc cannot evaluate annotations.
for known in (
    TaskExecutionContext,
    Outcome,
    protocols.BackendConfig,
    protocols.EventSink,
    protocols.ExecutionConfig,
    protocols.Serializer,
):
    setattr(config, known.__name__, known)

# sqlspec 0.69 registers Pygments styles in a module that its wheel lacks; the theme loads them all.
for missing in ("tools", "tools.sphinx_ext", "tools.sphinx_ext.pygments_styles"):
    sys.modules.setdefault(missing, ModuleType(missing))
for style in ("SQLSpecDarkStyle", "SQLSpecLightStyle"):
    setattr(sys.modules[missing], style, type(style, (DefaultStyle,), {}))

project = "litestar-queues"
author = "the litestar-queues authors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(.*\.)?(P|R|R_co|T)(\.(args|kwargs))?"),  # type variables
    (r"py:.*", r"(.*\.)?(Announcements|Looked|Publisher|Registry|Reporter)"),  # internal
    (r"py:.*", r"(.*\.)?(TaskDecorator|RemoteExecutor)"),  # internal
    (r"py:.*", r"(.*\.)?(Durability|Level|RedisClient|ValkeyClient)"),  # aliases
    (r"py:.*", r"litestar_queues_core\.testing\.conformance\..*"),  # parts of the suite
    (r"py:.*", r"(.*\.)?(SkipTest|timedelta|Abstract\w*ContextManager|Channels\w+|Litestar)"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

highlight_language = "none"  # unless a block names one

html_theme = "shibuya"
html_title = "litestar-queues"
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "accent_color": "iris",
    "show_ai_links": False,
    "open_in_chatgpt": False,
    "open_in_claude": False,
}

RECEIVED = {"Task", "AsyncTask", "SyncTask", "TaskCall", "TaskResult", "TaskExecutionContext"}
FOREIGN = {
    *sys.stdlib_module_names,
    *dir(builtins),
    "click",
    "litestar",
    "msgspec",
    "redis",
    "valkey",
}


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Find what a docstring calls by its short name, and leave other projects' names unlinked.

    The build needs no network, so nothing outside this project can be linked. A name of ours that
    leads nowhere stays a warning.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip(".~")
    found = {
        (entry.docname, entry.node_id)
        for name, entry in env.domains.python_domain.objects.items()
        if f".{name}".endswith(f".{target}")
    }
    if len(found) == 1:
        ((page, anchor),) = found
        return make_refnode(app.builder, node["refdoc"], page, anchor, content, target)
    if target.partition(".")[0] in FOREIGN:
        raise NoUri
    return None


def keep_colons(app: Sphinx, what: str, *details: Any) -> None:
    """Let napoleon not take what stands before a property's first colon for its type."""
    lines = details[-1]
    if what == "property" and lines:
        lines[0] = lines[0].replace(": ", " -- ")


def tidy_signature(
    app: Sphinx, what: str, name: str, *details: Any
) -> tuple[str, str | None] | None:
    """Leave out how an object is made that users only receive, and keep the rest readable."""
    parameters, returned = details[2:]
    received = what == "exception" or name.rpartition(".")[2] in RECEIVED
    if not parameters:
        return None
    if received or parameters == "(*args, **kwargs)":  # the latter is a protocol's
        return "", ""
    return parameters.replace("<factory>", "..."), returned


def setup(app: Sphinx) -> None:
    """Connect the handlers, and call attributes what the code calls them."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", keep_colons, priority=100)
