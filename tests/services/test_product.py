"""Products through their life: published, superseded, taken back, deleted, removed; on real PostgreSQL."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.file import FileAncestryLink, ScaleFile, Workspace
from scale_core.db.job import Job, JobExecution, JobType
from scale_core.domain.job import JobStatus
from scale_core.errors import Conflict, NotFound
from scale_core.services import execution, file, product, queue
from tests import factories as make
from tests.conftest import NOW
from tests.patience import wait_for

LATER = NOW + timedelta(hours=1)


def job_on(session: Session, type_: JobType, store: Workspace, *sources: ScaleFile, **values: str) -> Job:
    """A job whose inputs are these files, and these values."""
    inputs: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    if sources:
        inputs.append({"name": "in", "file_ids": [source.id for source in sources]})
    outputs = [{"name": "out", "workspace_id": store.id}]
    return queue.queue_new_job(session, type_.id, {"version": "1.0", "input_data": inputs, "output_data": outputs}, NOW)


def make_type(session: Session) -> JobType:
    inputs = [
        {"name": "in", "type": "files", "required": False},
        {"name": "day", "type": "property", "required": False},
    ]
    return make.make_job_type(session, interface=make.interface(inputs=inputs))


def finished(session: Session, job: Job, store: Workspace, *names: str, **outcome: Any) -> list[ScaleFile]:
    """Run the job's newest execution; it makes these files. Returns its products."""
    files = tuple(make.stored_file("out", store, name) for name in names or ("product.txt",))
    ended = make.end(session, make.run(session, job), files=files, **outcome)
    execution.finish(session, [ended.id], NOW)
    session.expire_all()
    return list(session.scalars(select(ScaleFile).where(ScaleFile.job_exe_id == ended.id).order_by(ScaleFile.id)))


def state(product: ScaleFile) -> str:
    if product.is_deleted:
        return "deleted"
    if product.is_superseded:
        assert not product.is_published
        return "superseded"
    return "published" if product.is_published else "unpublished"


@pytest.fixture
def store(session: Session) -> Workspace:
    return make.make_workspace(session)


@pytest.fixture
def source(session: Session, store: Workspace) -> ScaleFile:
    return make.make_source(session, store)


@pytest.fixture
def type_(session: Session) -> JobType:
    return make_type(session)


def test_the_uuid_stays_over_executions(session: Session, store: Workspace, type_: JobType) -> None:
    sources = [make.make_source(session, store, f"{name}.txt", uuid=name * 32) for name in "ba"]
    (first,) = finished(session, job_on(session, type_, store, *sources), store)
    (second,) = finished(session, job_on(session, type_, store, *reversed(sources)), store)
    expected = hashlib.md5(f"{type_.id}product.txt{'a' * 32}{'b' * 32}".encode()).hexdigest()
    assert first.uuid == second.uuid == expected


def test_a_newer_execution_on_the_same_inputs_supersedes(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    old = finished(session, job_on(session, type_, store, source), store, "a", "b")
    assert [state(each) for each in old] == ["published"] * 2
    before = [each.last_modified for each in old]
    other = finished(session, job_on(session, make_type(session), store, source), store, "a")
    new = finished(session, job_on(session, type_, store, source), store, "a", "c")
    session.expire_all()
    # b too: the execution as a whole is replaced
    assert [state(each) for each in [*old, *other, *new]] == ["superseded"] * 2 + ["published"] * 3
    assert {(each.superseded, each.unpublished, each.published) for each in old} == {(NOW, NOW, NOW)}
    assert all(each.last_modified > then for each, then in zip(old, before, strict=True))
    assert all(each.has_been_published for each in old)


def test_other_inputs_supersede_nothing(session: Session, store: Workspace, source: ScaleFile, type_: JobType) -> None:
    twin = make.make_source(session, store, uuid=source.uuid)  # another file of the same name that was kept
    jobs = [
        job_on(session, type_, store, source),
        job_on(session, type_, store, twin),
        job_on(session, type_, store, source, twin),
        job_on(session, type_, store, source, day="1"),
        job_on(session, type_, store, source, day="2"),
        job_on(session, type_, store),
        job_on(session, type_, store, day="1"),
    ]
    products = [finished(session, job, store)[0] for job in jobs]
    session.expire_all()
    assert [state(each) for each in products] == ["published"] * len(jobs)
    (again,) = finished(session, job_on(session, type_, store, day="1"), store)
    assert state(again) == "published"
    assert [state(each) for each in products] == ["published"] * (len(jobs) - 1) + ["superseded"]


def test_a_source_that_was_replaced_counts_as_the_same_input(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    (old,) = finished(session, job_on(session, type_, store, source), store)
    file.replace_sources(session, source.file_name, source.checksum, NOW)
    assert state(old) == "published"
    replacement = make.make_source(session, store, uuid=source.uuid)
    (new,) = finished(session, job_on(session, type_, store, replacement), store)
    assert (state(old), state(new)) == ("superseded", "published")


def test_a_parent_that_runs_again_supersedes_its_product_and_the_child_its_own(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    child = make_type(session)
    (parent_1,) = finished(session, job_on(session, type_, store, source), store)
    (child_1,) = finished(session, job_on(session, child, store, parent_1), store)
    (parent_2,) = finished(session, job_on(session, type_, store, source), store)
    session.expire_all()
    # what was made from the old one stays until it is made again
    assert [state(each) for each in (parent_1, child_1, parent_2)] == ["superseded", "published", "published"]
    (child_2,) = finished(session, job_on(session, child, store, parent_2), store)
    assert (state(child_1), state(child_2)) == ("superseded", "published")
    links = select(func.count()).where(FileAncestryLink.descendant_id == child_2.id)
    assert session.scalar(links) == 2


def test_an_older_execution_that_ends_late_is_superseded_at_once(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    slow, fast = job_on(session, type_, store, source), job_on(session, type_, store, source)
    (new,) = finished(session, fast, store)
    (old,) = finished(session, slow, store)
    assert (state(old), state(new)) == ("superseded", "published")
    assert old.has_been_published


def test_what_was_taken_back_or_deleted_supersedes_nothing_and_is_not_revived(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    hidden, gone = finished(session, job_on(session, type_, store, source), store, "a", "b")
    product.edit(session, hidden.id, {"is_published": False}, NOW)
    product.delete(session, gone.id, NOW)
    (new,) = finished(session, job_on(session, type_, store, source), store, "a")
    assert [state(each) for each in (hidden, gone, new)] == ["superseded", "deleted", "published"]
    assert hidden.unpublished == NOW
    assert not gone.is_superseded


def test_an_execution_that_fails_after_it_made_files_publishes_none_of_them(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    (before,) = finished(session, job_on(session, type_, store, source), store)
    job = job_on(session, type_, store, source)
    assert finished(session, job, store, succeeded=False, error="algorithm-unknown") == []
    assert job.status is JobStatus.FAILED
    assert state(before) == "published"
    queue.requeue(session, [job.id], None, NOW)
    (after,) = finished(session, job, store)
    assert (state(before), state(after)) == ("superseded", "published")


def test_an_execution_that_cannot_be_catalogued_leaves_no_half_of_its_products(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    (before,) = finished(session, job_on(session, type_, store, source), store)
    job = job_on(session, type_, store, source)
    files = (
        make.stored_file("out", store),
        make.stored_file("out", store, geo_metadata={"data_started": "never"}),
    )
    ended = make.end(session, make.run(session, job), files=files)
    execution.finish(session, [ended.id], NOW)
    session.expire_all()
    assert job.status is JobStatus.FAILED
    assert session.scalar(select(func.count()).where(ScaleFile.job_exe_id == ended.id)) == 0
    assert state(before) == "published"


def test_a_batch_that_is_requeued_publishes_each_product_once(
    session: Session, store: Workspace, type_: JobType
) -> None:
    sources = [make.make_source(session, store, f"{number}.txt") for number in range(5)]
    jobs = [job_on(session, type_, store, source) for source in sources]
    for job in jobs:
        assert finished(session, job, store, succeeded=False, error="algorithm-unknown") == []
    assert queue.requeue(session, [job.id for job in jobs], None, NOW) == [job.id for job in jobs]
    session.expire_all()
    ended = []
    for job in jobs:
        files = (make.stored_file("out", store),)
        ended.append(make.end(session, make.run(session, job), files=files).id)
    for _ in range(2):  # a repeated message changes nothing
        execution.finish(session, ended, NOW)
        session.expire_all()
        made = session.scalars(select(ScaleFile).where(ScaleFile.job_type_id == type_.id)).all()
        assert sorted(each.job_exe_id or 0 for each in made) == ended
        assert [state(each) for each in made] == ["published"] * 5


def test_of_two_executions_that_end_at_once_the_newer_ones_products_stay(committed: sessionmaker[Session]) -> None:
    with committed.begin() as session:
        store = make.make_workspace(session)
        type_, source = make_type(session), make.make_source(session, store)
        jobs = [job_on(session, type_, store, source) for _ in range(2)]
        ended = [make.end(session, make.run(session, job), files=(make.stored_file("out", store),)).id for job in jobs]

    def finish_newer() -> None:
        with committed.begin() as other:
            execution.finish(other, ended[1:], NOW)

    with committed.begin() as session:
        execution.finish(session, ended[:1], NOW)
        newer = threading.Thread(target=finish_newer)
        newer.start()
        _until_one_waits(committed)
    newer.join(30)
    with committed() as session:
        made = session.scalars(select(ScaleFile).where(ScaleFile.job_exe_id.in_(ended))).all()
        assert {each.job_exe_id: state(each) for each in made} == {ended[0]: "superseded", ended[1]: "published"}
        assert set(session.scalars(select(JobExecution.status).where(JobExecution.id.in_(ended)))) == {"COMPLETED"}


def _until_one_waits(sessions: sessionmaker[Session]) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def waits() -> bool:
        with sessions() as session:
            return bool(session.scalar(waiting))

    wait_for("one that waits for the inputs", waits)


def test_taken_back_and_published_again(session: Session, store: Workspace, source: ScaleFile, type_: JobType) -> None:
    (made,) = finished(session, job_on(session, type_, store, source), store)
    for _ in range(2):
        product.edit(session, made.id, {"is_published": False}, LATER)
        assert (state(made), made.unpublished, made.published) == ("unpublished", LATER, NOW)
    product.edit(session, made.id, {}, NOW)
    assert state(made) == "unpublished"
    product.edit(session, made.id, {"is_published": True}, LATER)
    assert (state(made), made.published) == ("published", NOW)
    with pytest.raises(NotFound):
        product.edit(session, source.id, {"is_published": False}, NOW)


def test_what_is_superseded_or_deleted_cannot_be_published_again(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    (old,) = finished(session, job_on(session, type_, store, source), store)
    (new,) = finished(session, job_on(session, type_, store, source), store)
    with pytest.raises(Conflict, match="superseded by the product of a newer execution"):
        product.edit(session, old.id, {"is_published": True}, NOW)
    product.delete(session, new.id, NOW)
    with pytest.raises(Conflict, match="was deleted"):
        product.edit(session, new.id, {"is_published": True}, NOW)
    with pytest.raises(NotFound):
        product.delete(session, source.id, NOW)


def test_a_deleted_product_is_to_be_removed_until_it_is(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    (made,) = finished(session, job_on(session, type_, store, source), store)
    assert file.removals(session, 10, LATER) == []
    for _ in range(2):
        product.delete(session, made.id, NOW)
    assert (state(made), made.deleted, made.unpublished, made.is_published) == ("deleted", NOW, NOW, False)
    (removal,) = file.removals(session, 10, NOW)
    assert (removal.file_id, removal.file_path, removal.broker["type"]) == (made.id, made.file_path, "host")
    assert file.removals(session, 10, NOW) == []  # claimed
    assert file.removals(session, 10, NOW + file.REMOVAL_RETRY) == [removal]  # whoever claimed it died
    file.removed(session, [made.id])
    assert file.removals(session, 10, NOW + timedelta(days=1)) == []


def test_a_path_that_another_file_has_by_now_is_left_alone(
    session: Session, store: Workspace, source: ScaleFile, type_: JobType
) -> None:
    (made,) = finished(session, job_on(session, type_, store, source), store)
    product.delete(session, made.id, NOW)
    make.make_source(session, store, file_path=made.file_path)
    assert file.removals(session, 10, NOW) == []
    session.expire_all()
    assert made.removal_due is None


def test_ten_thousand_products_of_one_execution(session: Session) -> None:
    """In a number of statements, and of rows read, that does not follow theirs: written a thousand at a time.

    Whatever the planner believes: here that there are no files, as after much was rolled back and a VACUUM.
    """
    session.execute(text("UPDATE pg_class SET reltuples = 0, relpages = 10 WHERE relname LIKE '%scale_file%'"))
    store = make.make_workspace(session)
    grandparent, parent = make.make_source(session, store), make.make_source(session, store)
    inputs, outputs = [{"name": "in", "type": "files"}], [{"name": "out", "type": "files"}]
    type_ = make.make_job_type(session, interface=make.interface(inputs, outputs))
    job = job_on(session, type_, store, grandparent, parent)
    names = [f"{number:05d}.txt" for number in range(10_000)]
    files = tuple(make.stored_file("out", store, name) for name in names)
    ended = make.end(session, make.run(session, job), files=files)
    statements: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", lambda *given: statements.append(given[2]))

    execution.finish(session, [ended.id], NOW)

    assert len(statements) < 100
    read = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'scale_file'")
    assert session.scalar(read) < 20 * len(names)
    session.expire_all()
    assert job.status is JobStatus.COMPLETED
    query = select(ScaleFile.file_name).where(ScaleFile.job_exe_id == ended.id, ScaleFile.is_published)
    assert list(session.scalars(query.order_by(ScaleFile.id))) == names
    links = select(func.count()).select_from(FileAncestryLink).where(FileAncestryLink.job_exe_id == ended.id)
    assert session.scalar(links) == 2 * 10_000
    assert len(job.results["output_data"][0]["file_ids"]) == 10_000
