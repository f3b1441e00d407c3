"""A dropped file goes to a bucket, a job reads it there, its product goes to an FTP server and is downloaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.patience import wait_for
from tests.remote_servers import HERE, SECRETS, FtpServer, S3Server, ftp_server, s3_server

COUNT = 'import sys; open("count.txt", "w").write(str(len(open(sys.argv[1], "rb").read()))); \
print("ARTIFACT:count:count.txt")'
CONTENT = b"remote\n" * 2_000_000  # more than one part of an upload


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def ftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    with ftp_server(tmp_path_factory.mktemp("ftp")) as server:
        yield server


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, s3: S3Server, ftp: FtpServer) -> Iterator[Scale]:
    """A server of its own that has the secrets, some as variables, one as a file."""
    home = tmp_path_factory.mktemp("remote")
    (home / "secrets").mkdir()
    (home / "secrets" / "key").write_text(SECRETS["SCALE_SECRET_KEY"])
    given = {name: value for name, value in SECRETS.items() if name != "SCALE_SECRET_KEY"}
    try:
        with scale_process.scale(
            home, SCALE_SECRETS_DIR=str(home / "secrets"), SCALE_RETRY_BASE_S="0.5", SCALE_REMOTE_NETWORKS=HERE, **given
        ) as running:
            yield running
    finally:
        postgres.destroy(home)


@pytest.fixture(scope="module")
def counter(remote: Scale, s3: S3Server, ftp: FtpServer) -> dict[str, Any]:
    """The two workspaces, and a job type that starts by itself with every file in the bucket."""
    bucket = s3.config(prefix="raw")
    bucket["credentials"]["secret_access_key"] = {"file": str(remote.home / "secrets" / "key")}
    (ftp.root / "products").mkdir()
    for name, broker in (("bucket", bucket), ("ftp", ftp.config(path="/products"))):
        remote.post("workspaces/", {"name": name, "json_config": {"version": "1.0", "broker": broker}})
    rule = {"input_data_name": "file", "workspace_name": "ftp"}
    return remote.make_job_type(
        "counter",
        sys.executable,
        f"-c '{COUNT}' ${{file}}",
        inputs=[{"name": "file", "type": "file"}],
        outputs=[{"name": "count", "type": "file"}],
        max_tries=20,  # its server may be long in coming back
        trigger_rule={
            "type": "INGEST",
            "is_active": True,
            "configuration": {"version": "1.0", "condition": {"data_types": ["counted"]}, "data": rule},
        },
    )


def test_from_a_strike_to_a_download(remote: Scale, counter: dict[str, Any], s3: S3Server, ftp: FtpServer) -> None:
    rule = {"filename_regex": ".*", "data_types": ["counted"], "workspace_path": "in", "workspace_name": "bucket"}
    _, directory = remote.make_strike("feed", [rule])
    source = remote.ingest_file(directory, "ein Name.dat", CONTENT)

    ((path,),) = remote.run_sql(f"SELECT file_path FROM scale_file WHERE id = {source['id']}")
    assert s3.files() == {f"raw/{path}": CONTENT}
    assert remote.content(source["id"]) == CONTENT
    wait_for("the original to go", lambda: [path for path in directory.rglob("*") if path.is_file()] == [])
    part = remote.request("GET", f"files/{source['id']}/content/", headers={"Range": "bytes=7-13"})
    assert (part.status_code, part.content) == (206, b"remote\n")

    job = job_of(remote, counter)
    assert (job["status"], job["event"]["type"]) == ("COMPLETED", "INGEST"), job["reason"]
    (product,) = job["products"]
    assert remote.content(product["id"]) == str(len(CONTENT)).encode()
    assert list(ftp.files().values()) == [str(len(CONTENT)).encode()]

    shown = remote.request("GET", f"jobs/{job['id']}/").text + remote.request("GET", "job-executions/").text
    shown += remote.request("GET", "workspaces/1/").text + remote.request("GET", "configuration/").text
    shown += "".join(remote.log(name) for name in ("api", "worker", "scheduler", "devcluster"))
    shown += "".join(path.read_text(errors="replace") for path in (remote.home / "devcluster").rglob("std*"))
    assert SECRETS["SCALE_SECRET_KEY"] not in shown
    assert SECRETS["SCALE_SECRET_PASSWORD"] not in shown


def test_a_server_that_comes_back(remote: Scale, counter: dict[str, Any], s3: S3Server, ftp: FtpServer) -> None:
    """While it is away its jobs fail by an error of the system, and are tried again; no node is paused for it."""
    store = remote.results("workspaces/", name="ftp")[0]["id"]
    (source,) = remote.results("sources/")
    ftp.stop()
    job_id = remote.queue(
        counter,
        input_data=[{"name": "file", "file_id": source["id"]}],
        output_data=[{"name": "count", "workspace_id": store}],
    )
    wait_for("the first failure", lambda: len(remote.job(job_id)["job_exes"]) > 1)
    ftp.start()
    job = remote.until(job_id, "COMPLETED", "FAILED")
    assert job["status"] == "COMPLETED", job["reason"]
    first = remote.get(f"job-executions/{min(exe['id'] for exe in job['job_exes'])}/")
    assert (first["status"], first["error"]["name"]) == ("FAILED", "remote-storage")
    assert [node["is_paused"] for node in remote.results("nodes/")] == [False]


PARSE = (
    'import json, sys; json.dump({"version": "1.1", "output_data": [], "parse_results": [{"filename": "ein Name.dat", '
    '"data_types": ["parsed"], "new_workspace_path": "parsed/here"}]}, open("results_manifest.json", "w"))'
)


def test_a_parsed_source_moves_within_its_bucket(remote: Scale, s3: S3Server) -> None:
    parser = remote.make_job_type(
        "parser", sys.executable, f"-c '{PARSE}' ${{file}}", inputs=[{"name": "file", "type": "file"}], outputs=[]
    )
    (source,) = remote.results("sources/")
    job_id = remote.queue(parser, input_data=[{"name": "file", "file_id": source["id"]}], output_data=[])
    job = remote.until(job_id, "COMPLETED", "FAILED")
    assert job["status"] == "COMPLETED", job["reason"]
    wait_for("the move", lambda: s3.keys() == ["raw/parsed/here/ein Name.dat"])
    wait_for("its record", lambda: remote.run_sql("SELECT 1 FROM scale_file WHERE moving_to IS NOT NULL") == [])
    assert remote.content(source["id"]) == CONTENT


def test_a_deleted_product_leaves_its_server(remote: Scale, ftp: FtpServer) -> None:
    before = len(ftp.files())
    product = remote.results("products/")[0]
    assert remote.request("DELETE", f"products/{product['id']}/").status_code == 204
    wait_for("the file to go", lambda: len(ftp.files()) == before - 1)
    assert remote.request("GET", f"files/{product['id']}/content/").status_code == 404


def job_of(remote: Scale, job_type: dict[str, Any]) -> dict[str, Any]:
    """The one job of the type, at its end."""
    (found,) = wait_for("the rule's job", lambda: remote.results("jobs/", job_type_name=job_type["name"]))
    return remote.until(found["id"], "COMPLETED", "FAILED")


def test_secrets_are_in_no_file_of_the_cluster(remote: Scale) -> None:
    """What the scheduler sends, and the agent keeps, are references."""
    for path in Path(remote.home / "devcluster").rglob("*.jsonl"):
        text = path.read_text(errors="replace")
        assert SECRETS["SCALE_SECRET_KEY"] not in text
        assert SECRETS["SCALE_SECRET_PASSWORD"] not in text
