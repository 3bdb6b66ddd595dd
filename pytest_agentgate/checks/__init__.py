"""The built-in checks. They never import each other; the runner owns order, time, cache and blame."""
