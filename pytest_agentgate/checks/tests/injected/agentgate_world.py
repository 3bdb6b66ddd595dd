"""What a session of the probe finds around it: where the product comes from, and which plugins are left alone. Not imported by the gate."""

import importlib.util
import os


def lead_children(names, tree, roots):
    """Let programs that the tests start import the judged code where they would find an installed copy, or another checkout."""
    for name in names:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            continue
        places = [spec.origin] if spec and spec.has_location else list(spec.submodule_search_locations or ()) if spec else []
        if any(not os.path.realpath(p).startswith(os.path.realpath(tree) + os.sep) for p in places):
            os.environ["PYTHONPATH"] = os.pathsep.join([*roots, *filter(None, [os.environ.get("PYTHONPATH")])])
            return


def leave_installed_plugins(pytest):
    """No rewriting of the assertions of installed plugins.

    pytest would parse and compile every module of each package that has a plugin (all of hypothesis, say), in every session:
    more than a second. Only the texts of failing assertions inside of plugins get shorter.
    """
    config = getattr(pytest, "Config", None)
    if hasattr(config, "_mark_plugins_for_rewrite"):
        config._mark_plugins_for_rewrite = lambda *arguments: None  # noqa: SLF001  # there is no option for it
