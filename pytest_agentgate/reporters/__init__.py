"""Reporters: a report in, text out. None can change a verdict."""
