"""Workspace Configuration Specification 1.0: how a workspace's broker reaches its files.

`nfs` has `mount` (later documentation: `nfs_path`), host:/path; `host` has `host_path`, a directory that every node
sees under the same name.
"""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, pre_load, validate, validates_schema

from scale_core.documents import load, version_field

_REMOTE = validate.Regexp(r"^[^:/\s\x00]+:/[^\x00]*$", error="must have the form host:/path")
_ABSOLUTE = validate.Regexp(r"^/[^\x00]*$", error="must be an absolute path")
_PATHS = {"nfs": "mount", "host": "host_path"}


class BrokerSchema(Schema):
    type = fields.String(required=True, validate=validate.OneOf(tuple(_PATHS), error="must be one of nfs, host"))
    mount = fields.String(validate=_REMOTE)
    host_path = fields.String(validate=_ABSOLUTE)

    @pre_load
    def later_name(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """nfs_path is what later documentation calls the mount."""
        if isinstance(data, dict) and "nfs_path" in data and "mount" not in data:
            data = {**data, "mount": data["nfs_path"]}
            del data["nfs_path"]
        return data

    @validates_schema
    def path_fits_type(self, data: dict[str, Any], **_: Any) -> None:
        wanted = _PATHS[data["type"]]
        for name in _PATHS.values():
            if name == wanted and name not in data:
                raise ValidationError(f"is required for a broker of type {data['type']}", name)
            if name != wanted and name in data:
                raise ValidationError(f"does not belong to a broker of type {data['type']}", name)


class WorkspaceConfigurationSchema(Schema):
    version = version_field("1.0")
    broker = fields.Nested(BrokerSchema, required=True)


def normalize(raw: object, path: str = "json_config") -> dict[str, Any]:
    """The document with every default filled in. Raises Invalid."""
    return load(WorkspaceConfigurationSchema(), raw, path)
