"""pytest on the four trees: regressions, the patch's own tests, fail-to-pass, and what was broken before."""
