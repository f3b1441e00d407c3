"""Journey 1: a file is dropped in a directory, is ingested, and starts a job by itself."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.scale_process import Scale
from tests.patience import wait_for

# Names that some program along the way would take for something else, if it got the chance.
ODD_NAMES = (
    "two words.txt",
    'it\'s "quoted".txt',
    "$(touch x).txt",
    "`touch x`; rm -rf *.txt",
    "line\nbreak.txt",
    "-rf.txt",
    "%2e%2e%2f${oops}.txt",
    "über ☃.txt",
    "n" * 251 + ".txt",
)
REPORT = 'import json, os, sys; json.dump([sys.argv[1], open(sys.argv[1]).read()], open("report.json", "w")); \
print("ARTIFACT:report:report.json")'


@pytest.fixture(scope="module")
def feed(scale: Scale) -> Path:
    """A Strike's directory: *.txt goes to the workspace `texts`, whose files start `reporter`."""
    scale.make_workspace("texts")
    scale.make_workspace("reports")
    rule = {
        "filename_regex": r"(?s).*\.txt",
        "data_types": ["prose"],
        "workspace_path": "/incoming",
        "workspace_name": "texts",
    }
    scale.make_job_type(
        "reporter",
        sys.executable,
        f"-c '{REPORT}' ${{text}}",
        inputs=[{"name": "text", "type": "file", "media_types": ["text/plain"]}],
        outputs=[{"name": "report", "type": "file", "media_type": "application/json"}],
        trigger_rule={
            "type": "INGEST",
            "is_active": True,
            "configuration": {
                "version": "1.0",
                "condition": {"media_type": "text/plain", "data_types": ["prose"]},
                "data": {"input_data_name": "text", "workspace_name": "reports"},
            },
        },
    )
    return scale.make_strike("texts", [rule])[1]


def test_a_growing_file_is_ingested_when_it_is_renamed_and_starts_a_job(scale: Scale, feed: Path) -> None:
    arriving, name, content = feed / "story.txt_tmp", "story.txt", b"once upon a time\n" * 1000

    arriving.write_bytes(content[:100])
    seen = scale.ingest_until(name, "TRANSFERRING")
    assert (seen["bytes_transferred"], seen["source_file"], seen["file_size"]) == (100, None, None)
    arriving.write_bytes(content)
    wait_for("its growth to be seen", lambda: scale.results("ingests/", file_name=name)[0]["bytes_transferred"] > 100)
    arriving.rename(feed / name)
    done = scale.ingest_until(name, "INGESTED", "ERRORED")

    assert (done["id"], done["status"], done["reason"]) == (seen["id"], "INGESTED", None)
    assert done["bytes_transferred"] == done["file_size"] == len(content)
    assert done["media_type"] == "text/plain"
    assert done["data_type"] == ["prose"]
    moments = [done[key] for key in ("transfer_started", "transfer_ended", "ingest_started", "ingest_ended")]
    assert moments == sorted(moments)
    assert [found["id"] for found in scale.results("ingests/", file_name=name)] == [seen["id"]]
    details = scale.get(f"ingests/{done['id']}/")
    assert details["transfer_path"] == str(feed / name)
    assert scale.until(done["job"]["id"], "COMPLETED")["job_type"]["name"] == "scale-ingest"

    source = scale.get(f"sources/{done['source_file']['id']}/")
    assert (source["file_name"], source["media_type"], source["file_size"]) == (name, "text/plain", len(content))
    ((path, checksum),) = scale.run_sql(f"SELECT file_path, checksum FROM scale_file WHERE id = {source['id']}")
    assert checksum == hashlib.sha256(content).hexdigest()
    assert path.startswith("incoming/")
    assert path.endswith(f"/{name}")
    assert (scale.home / "workspaces" / "texts" / path).read_bytes() == content
    assert scale.content(source["id"]) == content
    wait_for("the original to go", lambda: [path for path in feed.rglob("*") if path.is_file()] == [])

    job = job_of_source(scale, source["id"])
    assert (job["status"], job["job_type"]["name"], job["event"]["type"]) == ("COMPLETED", "reporter", "INGEST")
    assert report_of(scale, job)[1] == content.decode()


def test_what_no_rule_wants_is_set_aside(scale: Scale, feed: Path) -> None:
    (feed / "picture.png").write_bytes(b"not for us")

    ingest = scale.ingest_until("picture.png", "DEFERRED")

    assert ingest["reason"] == "no rule of its Strike matches its name"
    assert ingest["source_file"] is None
    wait_for("the file to be set aside", lambda: (feed / "deferred" / "picture.png").exists())
    assert (feed / "deferred" / "picture.png").read_bytes() == b"not for us"
    assert not (feed / "picture.png").exists()


def test_the_same_file_again_is_a_duplicate_and_another_of_its_name_is_kept_beside_it(scale: Scale, feed: Path) -> None:
    first = scale.ingest_file(feed, "again.txt", b"the same")
    (feed / "again.txt").write_bytes(b"the same")
    duplicate = scale.ingest_until("again.txt", "DUPLICATE")
    third = scale.ingest_file(feed, "again.txt", b"another")

    assert duplicate["reason"] == f"source file {first['id']} has the same name and content"
    assert (feed / "duplicate" / "again.txt").read_bytes() == b"the same"
    assert third["id"] != first["id"]
    assert scale.content(first["id"]) == b"the same"
    assert scale.content(third["id"]) == b"another"
    jobs = [job_of_source(scale, source["id"]) for source in (first, third)]
    assert [report_of(scale, job)[1] for job in jobs] == ["the same", "another"]
    assert len(jobs_of_sources(scale, [first["id"], third["id"]])) == 2, "a duplicate starts nothing"


def test_names_reach_the_job_as_they_are(scale: Scale, feed: Path) -> None:
    for number, name in enumerate(ODD_NAMES):
        hidden = feed.parent / "arriving"
        hidden.write_text(f"content {number}")
        hidden.rename(feed / name)

    for number, name in enumerate(ODD_NAMES):
        source = scale.ingest_until(name, "INGESTED", "ERRORED")["source_file"]
        assert source["file_name"] == name
        assert scale.content(source["id"]) == f"content {number}".encode()
        argument, content = report_of(scale, job_of_source(scale, source["id"]))
        assert (Path(argument).name, content) == (name, f"content {number}")
    assert [path.name for path in feed.rglob("*") if path.is_file() and path.suffix == ".txt"] in ([], ["again.txt"])
    assert list(scale.home.rglob("x")) == []


def test_a_directory_that_goes_away_is_reported_and_picked_up_again(scale: Scale, feed: Path) -> None:
    rule = {"filename_regex": ".*", "data_types": [], "workspace_path": "late", "workspace_name": "reports"}
    strike_id, directory = scale.make_strike("comes-and-goes", [rule])
    strike_job = scale.get(f"strikes/{strike_id}/")["job"]["id"]
    wait_for("the first scan", lambda: scale.get(f"strikes/{strike_id}/")["last_scan"])

    directory.rmdir()
    wait_for("the Strike to miss its directory", lambda: scale.get(f"strikes/{strike_id}/")["last_error"])
    job = scale.job(strike_job)
    assert job["status"] == "RUNNING"
    assert job["reason"] == scale.get(f"strikes/{strike_id}/")["last_error"]
    assert job["reason"] == f"the directory {directory} cannot be listed: No such file or directory"
    assert job["reason"] in scale.log("worker")
    meanwhile = scale.ingest_file(feed, "meanwhile.txt", b"others go on")
    assert job_of_source(scale, meanwhile["id"])["status"] == "COMPLETED"

    directory.mkdir()
    source = scale.ingest_file(directory, "at last.dat", b"here I am")
    assert scale.content(source["id"]) == b"here I am"
    assert scale.get(f"strikes/{strike_id}/")["last_error"] is None
    assert scale.job(strike_job)["reason"] is None


def jobs_of_sources(scale: Scale, source_ids: list[int]) -> list[int]:
    wanted = {str(source_id) for source_id in source_ids}
    rows = scale.run_sql(
        "SELECT job.id, job.data #>> '{input_data,0,file_id}' FROM job JOIN job_type ON job_type.id = job_type_id "
        "WHERE job_type.name = 'reporter'"
    )
    return [job_id for job_id, file_id in rows if file_id in wanted]


def job_of_source(scale: Scale, source_id: int) -> dict[str, Any]:
    """The job that its ingest started, at its end."""
    (job_id,) = wait_for("the INGEST rule's job", lambda: jobs_of_sources(scale, [source_id]))
    return scale.until(job_id, "COMPLETED", "FAILED")


def report_of(scale: Scale, job: dict[str, Any]) -> list[str]:
    assert job["status"] == "COMPLETED", (job["reason"], scale.logs(job)["stderr"])
    (product,) = job["products"]
    found: list[str] = json.loads(scale.content(product["id"]))
    return found
