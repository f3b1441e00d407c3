"""Brokers: how the files of a workspace are reached. broker_for() makes the one that a workspace's document describes.

`nfs` and `host` workspaces lie on a file system that this machine has mounted (local.py); `s3` and `ftp` ones are
reached over the network, through fsspec (s3.py, ftp.py, and what both share in remote.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scale_core.brokers.base import TEMPORARY_PREFIX, Broker, Stored
from scale_core.brokers.credentials import read_credentials
from scale_core.brokers.ftp import FtpBroker
from scale_core.brokers.local import (
    LOCAL_HOSTS,
    FileInfo,
    LocalBroker,
    make_directories,
    move_without_overwriting,
    names_aside,
    resolve_mount,
    set_aside,
)
from scale_core.brokers.network import Refused, require_host
from scale_core.errors import BrokerError
from scale_core.mounts import require_allowed
from scale_core.settings import Settings

__all__ = [
    "TEMPORARY_PREFIX",
    "Broker",
    "FileInfo",
    "LocalBroker",
    "Stored",
    "broker_for",
    "check_place",
    "make_directories",
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
        return LocalBroker(require_allowed(Path(path), settings.mounts))
    if kind == "s3":
        from scale_core.brokers.s3 import S3Broker

        return S3Broker(config, read_credentials(config, settings), settings.remote_networks)
    if kind == "ftp":
        return FtpBroker(config, read_credentials(config, settings), settings.remote_networks)
    raise BrokerError(f"broker type {kind!r} is not supported; nfs, host, s3 and ftp are")


def check_place(config: Mapping[str, Any], settings: Settings) -> None:
    """Refuse a workspace that no process with these settings would use. Raises BrokerError.

    It may touch the file system: see `patience.within`. A mount that other machines have is not looked for.
    """
    kind = config["type"]
    if kind == "host":
        require_allowed(Path(config["host_path"]), settings.mounts)
    elif kind == "nfs" and str(config["mount"]).partition(":")[0] in LOCAL_HOSTS:
        resolve_mount(config["mount"], settings.mounts)
    else:
        host = config.get("host") or urlsplit(config.get("endpoint_url") or "").hostname
        try:
            require_host(host or "", settings.remote_networks)
        except Refused as error:
            raise BrokerError(str(error)) from error
