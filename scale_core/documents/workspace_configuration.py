"""Workspace Configuration Specification 1.0: how a workspace's broker reaches its files.

`nfs` has `mount` (later documentation: `nfs_path`), host:/path; `host` has `host_path`, a directory that every node
sees under the same name. `s3` and `ftp` are ours, docs/workspaces.md tells of them. The fields of credentials name a
variable or a file, never a value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, pre_load, validate, validates

from scale_core.documents import INT_MAX, load, version_field
from scale_core.domain.access import is_loopback
from scale_core.mounts import OF_SYSTEM, is_of_system
from scale_core.settings import SECRET_PREFIX

_REMOTE = validate.Regexp(r"^[^:/\s\x00]+:/[^\x00]*$", error="must have the form host:/path")
_LOCALHOST = re.compile(r"(localhost|127\.0\.0\.1):(/.*)", re.DOTALL)
_ABSOLUTE = validate.Regexp(r"^/[^\x00\r\n]*$", error="must be an absolute path")
_VARIABLE = re.compile(rf"{SECRET_PREFIX}[A-Za-z0-9_]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
_REFERENCE = (
    f'must be a reference, {{"env": "{SECRET_PREFIX}..."}} or {{"file": "/run/secrets/..."}}: '
    "a value written here would be kept in the database and shown by REST"
)


class Reference(fields.Field):
    """Where a secret lies, for each process that uses the workspace."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or len(value) != 1:
            raise ValidationError(_REFERENCE)
        ((kind, where),) = value.items()
        if kind == "env":
            if not isinstance(where, str) or not _VARIABLE.fullmatch(where):
                raise ValidationError(
                    f"env must name a variable that begins with {SECRET_PREFIX}: others were never meant for workspaces"
                )
        elif kind == "file":
            if not isinstance(where, str) or not where.startswith("/") or "\0" in where:
                raise ValidationError("file must be an absolute path, below SCALE_SECRETS_DIR")
        else:
            raise ValidationError(_REFERENCE)
        return {kind: where}


class _Strict(Schema):
    error_messages = {"unknown": "is not a field of this kind of broker"}


class S3CredentialsSchema(_Strict):
    access_key_id = Reference(required=True)
    secret_access_key = Reference(required=True)
    session_token = Reference()


class FtpCredentialsSchema(_Strict):
    username = Reference(required=True)
    password = Reference(required=True)


class NfsSchema(_Strict):
    type = fields.String(required=True)
    mount = fields.String(required=True, validate=_REMOTE)

    @validates("mount")
    def is_for_data(self, value: str, **_: Any) -> None:
        local = _LOCALHOST.fullmatch(value)
        if local and is_of_system(local[2]):
            raise ValidationError(f"{local[2]} {OF_SYSTEM}")

    @pre_load
    def later_name(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """nfs_path is what later documentation calls the mount."""
        return _renamed(data, nfs_path="mount")


class HostSchema(_Strict):
    type = fields.String(required=True)
    host_path = fields.String(required=True, validate=_ABSOLUTE)

    @validates("host_path")
    def is_for_data(self, value: str, **_: Any) -> None:
        if is_of_system(value):
            raise ValidationError(f"{value} {OF_SYSTEM}")


class S3Schema(_Strict):
    type = fields.String(required=True)
    bucket = fields.String(
        required=True,
        validate=validate.Regexp(
            r"^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$", error="must be the name of a bucket, 3 to 255 characters"
        ),
    )
    prefix = fields.String()
    endpoint_url = fields.String()
    region = fields.String(validate=validate.Regexp(r"^[A-Za-z0-9-]{1,64}$", error="must be the name of a region"))
    credentials = fields.Nested(S3CredentialsSchema)
    total_size = fields.Integer(strict=True, validate=validate.Range(0, INT_MAX))

    @pre_load
    def later_name(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """What later documentation calls the same."""
        return _renamed(data, bucket_name="bucket", region_name="region")


class FtpSchema(_Strict):
    type = fields.String(required=True)
    host = fields.String(required=True)
    port = fields.Integer(strict=True, validate=validate.Range(1, 65535, error="must be a TCP port"))
    path = fields.String(load_default="/", validate=_ABSOLUTE)
    tls = fields.Boolean(load_default=False)
    credentials = fields.Nested(FtpCredentialsSchema)
    total_size = fields.Integer(strict=True, validate=validate.Range(0, INT_MAX))


class Broker(fields.Field):
    """The object that `type` says; every type has fields of its own."""

    schemas: Mapping[str, type[Schema]] = {"nfs": NfsSchema, "host": HostSchema, "s3": S3Schema, "ftp": FtpSchema}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("must be a JSON object")
        kind = value.get("type")
        schema = self.schemas.get(kind) if isinstance(kind, str) else None
        if schema is None:
            raise ValidationError({"type": [f"must be one of {', '.join(self.schemas)}"]})
        broker: dict[str, Any] = schema().load(value)
        problems = {name: [problem] for name, problem in _problems(broker)}
        if problems:
            raise ValidationError(problems)
        return broker


class WorkspaceConfigurationSchema(Schema):
    version = version_field("1.0")
    broker = Broker(required=True)


def normalize(raw: object, path: str = "json_config") -> dict[str, Any]:
    """The document with every default filled in. Raises Invalid."""
    return load(WorkspaceConfigurationSchema(), raw, path)


def sends_in_clear(broker: Mapping[str, Any]) -> bool:
    """Whether files travel without encryption, further than within one machine, though they need not."""
    if broker["type"] == "ftp":
        return not broker["tls"] and not is_loopback(broker["host"])
    endpoint = urlsplit(broker.get("endpoint_url") or "")
    return endpoint.scheme == "http" and not is_loopback(endpoint.hostname or "")


def _renamed(data: Any, **names: str) -> Any:
    if not isinstance(data, dict):
        return data
    data = dict(data)
    for later, ours in names.items():
        if later in data and ours not in data:
            data[ours] = data.pop(later)
    return data


def _problems(broker: dict[str, Any]) -> list[tuple[str, str]]:
    """What a look at a single word does not tell. Puts the prefix into its plain form."""
    found = []
    if "prefix" in broker:
        broker["prefix"] = broker["prefix"].strip("/")
        if ".." in PurePosixPath(broker["prefix"]).parts or re.search(r"[\x00-\x1f]", broker["prefix"]):
            found.append(("prefix", "must be a path within the bucket"))
    if "endpoint_url" in broker and (problem := _endpoint_problem(broker["endpoint_url"])):
        found.append(("endpoint_url", problem))
    if "host" in broker and (problem := _host_problem(broker["host"])):
        found.append(("host", problem))
    if broker["type"] == "ftp" and ".." in PurePosixPath(broker["path"]).parts:
        found.append(("path", "must not contain .."))
    return found


def _endpoint_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query or parts.fragment:
        return "must have the form https://host or https://host:port"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or password: give references in credentials"
    return _host_problem(host)


def _host_problem(host: str) -> str | None:
    """Names and addresses of a network are all right, also private ones; those that no file server can have are not,
    such as the one where clouds give the keys of a machine to whoever asks from it."""
    if not _HOST.fullmatch(host):
        return "must be the name or address of a host"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_number = _NUMBER.fullmatch(host.rpartition(".")[2])  # 2130706433 and 0x7f.1 are addresses to many programs
        return "must be the name of a host, or its address in the usual form" if is_number else None
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified:
        return "must not be a link-local, multicast or unspecified address"
    return None
