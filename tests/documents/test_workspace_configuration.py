"""Workspace configurations: every kind of broker, and what is refused, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from scale_core.documents import workspace_configuration
from scale_core.errors import Invalid

S3 = {"type": "s3", "bucket": "data"}
FTP = {"type": "ftp", "host": "ftp.example.org"}
KEYS = {"access_key_id": {"env": "SCALE_SECRET_ID"}, "secret_access_key": {"file": "/run/secrets/key"}}
LOGIN = {"username": {"env": "SCALE_SECRET_USER"}, "password": {"env": "SCALE_SECRET_PASSWORD"}}


def broker(given: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workspace_configuration.normalize({"version": "1.0", "broker": given})["broker"]
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "nfs", "mount": "nas:/data"}, {"type": "nfs", "mount": "nas:/data"}),
        ({"type": "nfs", "nfs_path": "nas:/data"}, {"type": "nfs", "mount": "nas:/data"}),
        ({"type": "host", "host_path": "/data"}, {"type": "host", "host_path": "/data"}),
        (S3, S3),
        ({"type": "s3", "bucket_name": "data", "region_name": "eu-west-1"}, {**S3, "region": "eu-west-1"}),
        ({**S3, "prefix": "/a/b/"}, {**S3, "prefix": "a/b"}),
        ({**S3, "endpoint_url": "https://10.0.0.7:9000/"}, {**S3, "endpoint_url": "https://10.0.0.7:9000/"}),
        ({**S3, "credentials": KEYS, "total_size": 10}, {**S3, "credentials": KEYS, "total_size": 10}),
        (FTP, {**FTP, "path": "/", "tls": False}),
        (
            {**FTP, "port": 2121, "path": "/pub", "tls": True, "credentials": LOGIN},
            {**FTP, "port": 2121, "path": "/pub", "tls": True, "credentials": LOGIN},
        ),
    ],
)
def test_accepted(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert broker(given) == expected
    assert broker(expected) == expected


@pytest.mark.parametrize(
    ("given", "path", "says"),
    [
        ("x", "json_config.broker", "must be a JSON object"),
        ({}, "json_config.broker.type", "must be one of nfs, host, s3, ftp"),
        ({"type": "tape"}, "json_config.broker.type", "must be one of nfs, host, s3, ftp"),
        ({"type": ["s3"]}, "json_config.broker.type", "must be one of nfs, host, s3, ftp"),
        ({"type": "nfs"}, "json_config.broker.mount", "Missing data for required field."),
        ({"type": "nfs", "mount": "/data"}, "json_config.broker.mount", "must have the form host:/path"),
        ({"type": "host", "host_path": "data"}, "json_config.broker.host_path", "must be an absolute path"),
        ({"type": "host", "host_path": "/x", "mount": "a:/b"}, "json_config.broker.mount", "is not a field of this"),
        ({"type": "s3"}, "json_config.broker.bucket", "Missing data for required field."),
        ({**S3, "bucket": "a/b"}, "json_config.broker.bucket", "must be the name of a bucket"),
        ({**S3, "buket": "x"}, "json_config.broker.buket", "is not a field of this kind of broker"),
        ({**S3, "prefix": "a/../.."}, "json_config.broker.prefix", "must be a path within the bucket"),
        ({**S3, "endpoint_url": "file:///etc/passwd"}, "json_config.broker.endpoint_url", "must have the form"),
        ({**S3, "endpoint_url": "http://x/path"}, "json_config.broker.endpoint_url", "must have the form"),
        ({**S3, "endpoint_url": "http://x:port"}, "json_config.broker.endpoint_url", "is not a URL"),
        ({**S3, "endpoint_url": "http://"}, "json_config.broker.endpoint_url", "name or address of a host"),
        ({**S3, "endpoint_url": "http://a:b@x"}, "json_config.broker.endpoint_url", "must not contain a user"),
        ({**S3, "endpoint_url": "http://169.254.169.254"}, "json_config.broker.endpoint_url", "link-local"),
        ({**S3, "endpoint_url": "http://[fe80::1]"}, "json_config.broker.endpoint_url", "link-local"),
        ({**S3, "endpoint_url": "http://[::ffff:169.254.169.254]"}, "json_config.broker.endpoint_url", "link-local"),
        ({**S3, "endpoint_url": "http://0.0.0.0"}, "json_config.broker.endpoint_url", "unspecified"),
        ({**S3, "endpoint_url": "http://2852039166"}, "json_config.broker.endpoint_url", "in the usual form"),
        ({**S3, "endpoint_url": "http://0xa9.254.0xa9fe"}, "json_config.broker.endpoint_url", "in the usual form"),
        ({**S3, "total_size": -1}, "json_config.broker.total_size", "Must be greater"),
        ({**S3, "credentials": {}}, "json_config.broker.credentials.access_key_id", "Missing data"),
        (
            {**S3, "credentials": {**KEYS, "password": {"env": "SCALE_SECRET_X"}}},
            "json_config.broker.credentials.password",
            "is not a field of this kind of broker",
        ),
        ({**FTP, "host": "ftp://x"}, "json_config.broker.host", "must be the name or address of a host"),
        ({**FTP, "host": "x\r\nUSER y"}, "json_config.broker.host", "must be the name or address of a host"),
        ({**FTP, "host": "169.254.0.1"}, "json_config.broker.host", "link-local"),
        ({**FTP, "host": "127.1"}, "json_config.broker.host", "in the usual form"),
        ({**FTP, "port": 0}, "json_config.broker.port", "must be a TCP port"),
        ({**FTP, "path": "pub"}, "json_config.broker.path", "must be an absolute path"),
        ({**FTP, "path": "/a/../b"}, "json_config.broker.path", "must not contain .."),
    ],
)
def test_refused(given: Any, path: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        broker(given)
    (problem,) = [problem for problem in caught.value.problems if problem.path == path]
    assert says in problem.message


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("hunter2", "must be a reference"),
        ({"value": "hunter2"}, "must be a reference"),
        ({"env": "SCALE_SECRET_X", "value": "hunter2"}, "must be a reference"),
        ({"env": "SCALE_DATABASE_URL"}, "must name a variable that begins with SCALE_SECRET_"),
        ({"env": "SCALE_SECRET_X=hunter2"}, "must name a variable that begins with SCALE_SECRET_"),
        ({"env": 5}, "must name a variable that begins with SCALE_SECRET_"),
        ({"file": "hunter2"}, "must be an absolute path"),
        (None, "may not be null"),
    ],
)
def test_a_secret_itself_is_refused_and_not_repeated(secret: Any, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        broker({**FTP, "credentials": {**LOGIN, "password": secret}})
    (problem,) = caught.value.problems
    assert problem.path == "json_config.broker.credentials.password"
    assert says in problem.message
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "clear"),
    [
        ({"type": "host", "host_path": "/x"}, False),
        (S3, False),
        ({**S3, "endpoint_url": "http://minio:9000"}, True),
        ({**S3, "endpoint_url": "http://127.0.0.1:9000"}, False),
        ({**S3, "endpoint_url": "https://minio:9000"}, False),
        (FTP, True),
        ({**FTP, "tls": True}, False),
        ({**FTP, "host": "localhost"}, False),
    ],
)
def test_sends_in_clear(given: dict[str, Any], clear: bool) -> None:
    assert workspace_configuration.sends_in_clear(broker(given)) is clear
