"""What the audit keeps of a change: never a secret, and of a document no more than is of use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
MAX_TEXT = 2000
_SECRET = re.compile(
    r"(^|_|-)(pass(word|wd|phrase)?|secrets?|tokens?|hash|private_?key|secret_?(access_?)?key|access_?key|api_?key"
    r"|credentials?)$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_IN_URL = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]*(?=@)")


def without_secrets(value: Any, name: str = "") -> Any:
    """The same with every value hidden whose name says that it is a secret, and passwords taken out of URLs.

    A reference to a secret (``secret_ref``, ``credentials_file``) is none.
    """
    if _SECRET.search(_CAMEL.sub("_", name)) and value not in (None, "", [], {}):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): without_secrets(each, str(key)) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(each) for each in value]
    if isinstance(value, str):
        text = _IN_URL.sub(HIDDEN, value)
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"
    return value
