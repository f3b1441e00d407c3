"""Secrets of workspaces: their documents only say where each lies, in a variable or a file of the process that uses it.

A document can be written by whoever may edit workspaces, and names the server that the secret is sent to. So it may
only name secrets that are meant for this: variables that begin with SCALE_SECRET_, files below SCALE_SECRETS_DIR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scale_core.errors import BrokerError
from scale_core.settings import SECRET_PREFIX, Settings

_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Credentials:
    """Values by their names in the document. They show themselves to nobody."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> str | None:
        return self.values.get(name)


def read_credentials(config: Mapping[str, Any], settings: Settings) -> Credentials:
    """The secrets that a ``broker`` object refers to, as this machine has them now. Raises BrokerError naming what is
    missing, never a value."""
    references = config.get("credentials") or {}
    return Credentials({name: _read(name, reference, settings) for name, reference in references.items()})


def _read(name: str, reference: Mapping[str, str], settings: Settings) -> str:
    if "env" in reference:
        variable = reference["env"]
        value = settings.secrets.get(variable) if variable.startswith(SECRET_PREFIX) else None
        if not value:
            raise BrokerError(f"{name}: the environment variable {variable} is not set for this process")
        return value
    return _content(name, Path(str(reference.get("file"))), Path(settings.secrets_dir))


def _content(name: str, path: Path, directory: Path) -> str:
    """The content of a file without white space around it."""
    try:
        real = path.resolve(strict=True)
        # kubernetes and others keep their secrets behind symlinks, which must not lead out of the directory
        if not real.is_relative_to(directory.resolve()):
            raise BrokerError(f"{name}: the file {path} is not below SCALE_SECRETS_DIR ({directory})")
        with open(real, "rb") as file:
            value = file.read(_MAX_BYTES).decode().strip()
    except (OSError, ValueError, RuntimeError) as error:
        raise BrokerError(f"{name}: the file {path} cannot be read here: {_reason(error)}") from None
    if not value:
        raise BrokerError(f"{name}: the file {path} is empty")
    return value


def _reason(error: Exception) -> str:
    """Why, without anything of the file's content."""
    return getattr(error, "strerror", None) or "it is not text"
