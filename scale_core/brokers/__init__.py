"""Brokers: how the files of a workspace are reached. broker_for() makes the one that a workspace's document describes.

`nfs` and `host` workspaces lie on a file system that this machine has mounted (local.py); `s3` and `ftp` ones are
reached over the network, through fsspec (s3.py, ftp.py, and what both share in remote.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scale_core.brokers.base import TEMPORARY_PREFIX, Broker, Stored
from scale_core.brokers.credentials import read_credentials
from scale_core.brokers.ftp import FtpBroker
from scale_core.brokers.local import (
    FileInfo,
    LocalBroker,
    move_without_overwriting,
    names_aside,
    resolve_mount,
    set_aside,
)
from scale_core.errors import BrokerError
from scale_core.settings import Settings

__all__ = [
    "TEMPORARY_PREFIX",
    "Broker",
    "FileInfo",
    "LocalBroker",
    "Stored",
    "broker_for",
    "move_without_overwriting",
    "names_aside",
    "resolve_mount",
    "set_aside",
]


def broker_for(config: Mapping[str, Any], settings: Settings) -> Broker:
    """The broker that a workspace's ``broker`` object describes.

    Raises BrokerError when it cannot be used here: a mount that is not mapped, a secret that this machine lacks.
    """
    kind = config.get("type")
    if kind == "nfs":
        return LocalBroker(resolve_mount(str(config.get("mount") or config.get("nfs_path") or ""), settings.mounts))
    if kind == "host":
        path = str(config.get("host_path") or "")
        if not path.startswith("/"):
            raise BrokerError(f"host_path {path!r} is not an absolute path")
        return LocalBroker(path)
    if kind == "s3":
        from scale_core.brokers.s3 import S3Broker

        return S3Broker(config, read_credentials(config, settings))
    if kind == "ftp":
        return FtpBroker(config, read_credentials(config, settings))
    raise BrokerError(f"broker type {kind!r} is not supported; nfs, host, s3 and ftp are")
