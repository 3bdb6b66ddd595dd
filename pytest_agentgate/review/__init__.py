"""The place of AI review; nothing is built in yet, and `consult` says so."""
