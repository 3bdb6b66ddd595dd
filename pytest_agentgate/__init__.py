"""pytest-agentgate: deterministic checks around patches that coding agents write."""

__version__ = "0.1.0"
