"""mypy on both sides, whole, under the base's configuration."""
