"""A small world with at least one row behind every resource."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import timedelta

from geoalchemy2 import WKTElement
from sqlalchemy import select
from sqlalchemy.orm import Session

from scale_core.db.file import CountryData, FileAncestryLink, FileType, ScaleFile, Workspace
from scale_core.db.ingest import Ingest, Strike
from scale_core.db.job import Error, Job, JobExecution, JobExecutionLog, JobType
from scale_core.db.node import Node
from scale_core.db.recipe import Recipe, RecipeType
from scale_core.domain.ingest import IngestStatus
from scale_core.domain.job import ExecutionStatus, JobStatus
from tests import factories
from tests.conftest import NOW

SQUARE = "POLYGON((0 0, 0 2, 2 2, 2 0, 0 0))"
MINUTE = timedelta(minutes=1)


@dataclass
class World:
    raw: Workspace
    products: Workspace
    node: Node
    job_type: JobType
    recipe_type: RecipeType
    strike: Strike
    source: ScaleFile
    ingest: Ingest
    recipe: Recipe
    completed: Job
    execution: JobExecution
    product: ScaleFile
    failed: Job
    running: Job
    queued: Job


def make_world(session: Session) -> World:
    """Each call adds one of everything, with names of its own."""
    raw = factories.make_workspace(session, description="what came in")
    products = factories.make_workspace(session, base_url="http://files.example/products/")
    total = {"cpus": 8.0, "mem": 4096.0, "disk": 10000.0}
    node = factories.make_node(session, is_online=True, resources={"total": total, "used": {"cpus": 1.5}})
    rule = {
        "type": "INGEST",
        "configuration": {
            "version": "1.0",
            "condition": {"media_type": "image/png", "data_types": []},
            "data": {"input_data_name": "in", "workspace_name": products.name},
        },
    }
    mapping = {"version": "1.0", "exit_codes": {"1": "unknown"}}
    job_type = factories.make_job_type(
        session, title="Type", category="test", docker_image="image:1", trigger_rule=rule, error_mapping=mapping
    )
    session.refresh(job_type)
    place = factories.place("one", job_type, recipe_inputs=[{"recipe_input": "file", "job_input": "in"}])
    definition = factories.definition(place, inputs=[{"name": "file", "type": "file", "media_types": ["text/plain"]}])
    recipe_type = factories.make_recipe_type(session, definition, title="Recipe")
    strike = factories.make_strike(session, raw)
    source = _source(session, raw)
    ingest = _ingest(session, strike, source)
    recipe = factories.make_recipe(
        session,
        recipe_type,
        input_data=[{"name": "file", "file_id": source.id}],
        workspace_id=products.id,
    )
    completed = recipe.jobs[0].job
    execution = factories.run(session, completed, node)
    product = _complete(session, completed, execution, products, source, recipe)
    failed = _queue(session, job_type, source, products)
    _fail(session, failed, factories.run(session, failed, node))
    running = _queue(session, job_type, source, products)
    on_node = factories.run(session, running, node)
    on_node.directory = "/sandbox"
    on_node.cpus_scheduled, on_node.mem_scheduled, on_node.disk_total_scheduled = 1.0, 64.0, 74.0
    queued = _queue(session, job_type, source, products)
    session.flush()
    return World(
        raw, products, node, job_type, recipe_type, strike, source, ingest, recipe, completed, execution, product,
        failed, running, queued,
    )  # fmt: skip


def _queue(session: Session, job_type: JobType, source: ScaleFile, products: Workspace) -> Job:
    data = factories.job_data(source, products)
    return factories.queue.queue_new_job(session, job_type.id, data, NOW)


def _source(session: Session, raw: Workspace) -> ScaleFile:
    source = factories.make_source(
        session,
        raw,
        name=factories.unique("input") + ".txt",
        data_type=["tag"],
        geometry=WKTElement(SQUARE, srid=4326),
        center_point=WKTElement("POINT(1 1)", srid=4326),
        meta_data={"sensor": "x"},
    )
    iso3 = f"{source.id % 1000:03d}"
    country = CountryData(name=f"Country {source.id}", iso3=iso3, border=WKTElement(SQUARE, srid=4326), effective=NOW)
    source.countries.append(country)
    session.flush()
    return source


def _ingest(session: Session, strike: Strike, source: ScaleFile) -> Ingest:
    ingest = Ingest(
        file_name=source.file_name,
        strike_id=strike.id,
        status=IngestStatus.INGESTED,
        transfer_path=f"/incoming/{source.file_name}",
        bytes_transferred=10,
        transfer_started=NOW,
        transfer_ended=NOW + MINUTE,
        ingest_started=NOW + MINUTE,
        ingest_ended=NOW + 2 * MINUTE,
        media_type="text/plain",
        file_size=10,
        source_file_id=source.id,
        workspace_id=source.workspace_id,
    )
    session.add(ingest)
    session.flush()
    return ingest


def _complete(
    session: Session, job: Job, execution: JobExecution, store: Workspace, source: ScaleFile, recipe: Recipe
) -> ScaleFile:
    end = NOW + 5 * MINUTE
    execution.status, execution.ended = ExecutionStatus.COMPLETED, end
    job.status, job.ended, job.last_status_change = JobStatus.COMPLETED, end, end
    product = ScaleFile(
        file_type=FileType.PRODUCT,
        file_name=factories.unique("product") + ".txt",
        media_type="text/plain",
        file_size=5,
        file_path=f"jobs/{job.id}/a name & more.txt",
        workspace_id=store.id,
        uuid="0" * 32,
        job_id=job.id,
        job_exe_id=execution.id,
        job_type_id=job.job_type_id,
        job_output="out",
        has_been_published=True,
        is_published=True,
        published=end,
        geometry=WKTElement("POINT(-84.25 36.5)", srid=4326),
    )
    session.add(product)
    session.flush()
    job.results = {"version": "1.0", "output_data": [{"name": "out", "file_id": product.id}]}
    session.add(
        FileAncestryLink(
            ancestor_id=source.id,
            descendant_id=product.id,
            job_exe_id=execution.id,
            job_id=job.id,
            recipe_id=recipe.id,
        )
    )
    log = JobExecutionLog(job_exe_id=execution.id, stdout=zlib.compress("grüße\n".encode()), stderr=zlib.compress(b""))
    session.add(log)
    session.flush()
    return product


def _fail(session: Session, job: Job, execution: JobExecution) -> None:
    error = session.scalars(select(Error).where(Error.name == "unknown")).one()
    end = NOW + 3 * MINUTE
    execution.status, execution.ended, execution.error_id = ExecutionStatus.FAILED, end, error.id
    execution.message = "it went wrong"
    job.status, job.ended, job.last_status_change, job.error_id = JobStatus.FAILED, end, end, error.id
    session.flush()
