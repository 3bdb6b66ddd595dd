"""ruff on both sides, under the base's configuration, with suppressions switched off."""
