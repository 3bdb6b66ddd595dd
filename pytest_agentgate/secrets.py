"""Forms of credentials that are known by their look. Pure."""

from __future__ import annotations

import re

FORMS = (
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|"
    r"\bgithub_pat_[A-Za-z0-9_]{60,}|\bsk-ant-[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9]{40,}|\bxox[abpr]-[A-Za-z0-9-]{20,}|"
    r"\bglpat-[A-Za-z0-9_-]{20}\b|\bpypi-AgE[A-Za-z0-9_-]{50,}"
)
SECRET_BYTES = re.compile(FORMS.encode())
SECRET_TEXT = re.compile(FORMS)
