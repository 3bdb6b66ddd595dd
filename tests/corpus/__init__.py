"""Patches written for this project: cheats by class of the taxonomy, and honest ones that look like them."""
