"""Ancestors and descendants of files: against brute force on made-up graphs, in a constant number of statements."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, insert, text
from sqlalchemy.orm import Session

from scale_core.db.file import FileAncestryLink, FileType, ScaleFile
from scale_core.db.job import Job, JobExecution
from scale_core.db.sql import load
from scale_core.queries import provenance
from tests import factories as make
from tests.api.world import World
from tests.conftest import NOW

Edge = tuple[int, int]  # ancestor, descendant


class Graph:
    """Files made by jobs: `edges` are pairs of numbers of files, each job has made one file of its parents."""

    def __init__(self, session: Session, count: int, edges: list[Edge], *, indirect: bool = True) -> None:
        self.edges = sorted(set(edges))
        store = make.make_workspace(session)
        job = make.make_job(session)
        self.job_type_id = job.job_type_id
        common = {"job_type_id": job.job_type_id, "job_type_rev_id": job.job_type_rev_id, "event_id": job.event_id}
        done = {"status": "COMPLETED", "timeout": 1, "ended": NOW}
        costs = {"data": {}, "priority": 1, "max_tries": 1, "cpus_required": 1.0, "mem_required": 1.0}
        jobs = [{**common, **done, **costs}] * count
        self.jobs = list(session.scalars(insert(Job).returning(Job.id, sort_by_parameter_order=True), jobs))
        exes = [{"job_id": id_, "queued": NOW, **done} for id_ in self.jobs]
        self.exes = list(
            session.scalars(insert(JobExecution).returning(JobExecution.id, sort_by_parameter_order=True), exes)
        )
        made = {number for _, number in self.edges}
        source = {"media_type": "x/y", "file_size": 1, "workspace_id": store.id, "uuid": "0" * 32, "data_type": []}
        files = [
            {
                **source,
                "file_name": f"f{number}",
                "file_path": f"{store.id}/{number}",
                "file_type": FileType.PRODUCT if number in made else FileType.SOURCE,
                "job_exe_id": self.exes[number] if number in made else None,
                "job_id": self.jobs[number] if number in made else None,
                "job_type_id": self.job_type_id if number in made else None,
            }
            for number in range(count)
        ]
        statement = insert(ScaleFile).returning(ScaleFile.id, sort_by_parameter_order=True)
        self.files = list(session.scalars(statement, files))
        self.numbers = {id_: number for number, id_ in enumerate(self.files)}
        links = [self._link(a, d, None) for a, d in self.edges]
        if indirect:  # as services write them; they must not be taken for steps
            steps = {(a, d) for a, d in self.edges}
            links += [
                self._link(a, d, b)
                for (a, b), (c, d) in itertools.product(self.edges, self.edges)
                if b == c and (a, d) not in steps and not steps.add((a, d))  # type: ignore[func-returns-value]
            ]
        if links:
            session.execute(insert(FileAncestryLink), links)
        session.commit()

    def _link(self, ancestor: int, descendant: int, through: int | None) -> dict[str, Any]:
        return {
            "ancestor_id": self.files[ancestor],
            "descendant_id": self.files[descendant],
            "job_id": self.jobs[descendant],
            "job_exe_id": self.exes[descendant],
            "ancestor_job_id": None if through is None else self.jobs[through],
            "ancestor_job_exe_id": None if through is None else self.exes[through],
        }

    def expected(self, start: int, direction: str, depth: int) -> dict[int, tuple[int, set[int]]]:
        """By brute force: number -> its depth, and the other ends of its links."""
        towards = defaultdict(set)
        for ancestor, descendant in self.edges:
            near, far = (ancestor, descendant) if direction == "descendants" else (descendant, ancestor)
            towards[near].add(far)
        depths, level = {start: 0}, {start}
        for distance in range(1, depth + 1):
            level = {far for near in level for far in towards[near]} - set(depths)
            depths |= dict.fromkeys(level, distance)
        return {
            number: (distance, {near for near in depths if number in towards[near]})
            for number, distance in depths.items()
            if number != start
        }


def read(client: FlaskClient, file_id: int, direction: str, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/files/{file_id}/{direction}/", query_string=query)
    assert answer.status_code == 200, answer.data
    rows: list[dict[str, Any]] = answer.get_json()["results"]
    return rows


@pytest.mark.parametrize("seed", range(8))
def test_as_brute_force_finds_them(client: FlaskClient, session: Session, seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randint(2, 25)
    pairs = [(a, d) for a in range(count) for d in range(count) if a != d and (a < d or seed % 4 == 3)]  # 3, 7: circles
    graph = Graph(session, count, chance.sample(pairs, min(len(pairs), chance.randint(1, 3 * count))))
    for direction, depth in itertools.product(("ancestors", "descendants"), (1, 2, 100)):
        for start in range(count):
            rows = read(client, graph.files[start], direction, depth=depth, page_size=1000)
            expected = graph.expected(start, direction, depth)
            assert [(row["depth"], row["file"]["id"]) for row in rows] == sorted(
                (distance, graph.files[number]) for number, (distance, _) in expected.items()
            )
            for row in rows:
                _, others = expected[graph.numbers[row["file"]["id"]]]
                assert {graph.numbers[link["file"]["id"]] for link in row["links"]} == others
                assert row["num_links"] == len(row["links"]) == len(others)


def test_each_link_names_the_job_that_made_the_younger_file(client: FlaskClient, session: Session) -> None:
    graph = Graph(session, 3, [(0, 1), (1, 2)])
    for direction, start, makers in (("descendants", 0, (1, 2)), ("ancestors", 2, (2, 1))):
        rows = read(client, graph.files[start], direction)
        for row, made in zip(rows, makers, strict=True):
            (link,) = row["links"]
            assert (link["job"]["id"], link["job_exe"]["id"]) == (graph.jobs[made], graph.exes[made])
            assert (link["job"]["status"], link["job"]["job_type"]["id"]) == ("COMPLETED", graph.job_type_id)
            assert link["recipe"] is None


def test_what_services_have_written(client: FlaskClient, world: World) -> None:
    (product,) = read(client, world.source.id, "descendants")
    assert (product["file"]["id"], product["file"]["file_type"], product["depth"]) == (world.product.id, "PRODUCT", 1)
    assert (product["file"]["is_published"], product["file"]["is_superseded"]) == (True, False)
    assert product["links"][0]["job"]["id"] == world.completed.id
    assert product["links"][0]["recipe"] == {"id": world.recipe.id}
    (source,) = read(client, world.product.id, "ancestors")
    assert (source["file"]["id"], source["file"]["file_type"]) == (world.source.id, "SOURCE")
    assert {name: source["file"][name] for name in ("countries", "geometry", "url")} == {
        name: client.get(f"/files/{world.source.id}/").get_json()[name] for name in ("countries", "geometry", "url")
    }
    assert read(client, world.source.id, "ancestors") == read(client, world.product.id, "descendants") == []


def test_pages(client: FlaskClient, session: Session) -> None:
    graph = Graph(session, 8, [(0, number) for number in range(1, 8)])
    path = f"/files/{graph.files[0]}/descendants/"
    first = client.get(path, query_string={"page_size": 3}).get_json()
    assert (first["count"], first["previous"]) == (7, None)
    seen = [row["file"]["id"] for row in first["results"]]
    following = first["next"]
    while following:
        page = client.get(following).get_json()
        seen += [row["file"]["id"] for row in page["results"]]
        following = page["next"]
    assert seen == graph.files[1:]
    assert client.get(path, query_string={"page_size": 3, "page": 4}).status_code == 404


@pytest.mark.parametrize("direction", ["ancestors", "descendants"])
def test_mistakes(client: FlaskClient, world: World, direction: str) -> None:
    assert client.get(f"/files/999999999/{direction}/").status_code == 404
    for depth in ("0", "101", "-1", "deep"):
        answer = client.get(f"/files/{world.source.id}/{direction}/?depth={depth}")
        assert (answer.status_code, answer.get_json()["problems"][0]["path"]) == (400, "depth")


def test_of_many_links_the_nearest_are_shown(client: FlaskClient, session: Session) -> None:
    parents = provenance.MAX_LINKS + 5
    edges = [(0, number) for number in range(1, parents + 1)]
    edges += [(number, parents + 1) for number in range(parents + 1)]
    graph = Graph(session, parents + 2, edges, indirect=False)
    merged = read(client, graph.files[0], "descendants", page_size=1000)[-1]
    assert (merged["num_links"], len(merged["links"])) == (parents + 1, provenance.MAX_LINKS)
    assert merged["depth"] == 1
    assert merged["links"][0]["file"]["id"] == graph.files[0]


@pytest.mark.parametrize("direction", ["ancestors", "descendants"])
def test_the_number_of_statements_does_not_grow(client: FlaskClient, session: Session, direction: str) -> None:
    counts = []
    for count in (3, 30):
        graph = Graph(session, count, [(number, number + 1) for number in range(count - 1)], indirect=False)
        start = graph.files[0 if direction == "descendants" else -1]
        statements: list[str] = []

        def note(*args: Any, seen: list[str] = statements) -> None:
            seen.append(args[2])

        engine = session.get_bind().engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            assert len(read(client, start, direction, depth=100)) == count - 1
        finally:
            event.remove(engine, "before_cursor_execute", note)
        counts.append(len([each for each in statements if each.lstrip().upper().startswith(("SELECT", "WITH"))]))
    assert counts[0] == counts[1] <= 5


@pytest.mark.parametrize("direction", ["ancestors", "descendants"])
def test_a_deep_and_wide_graph_is_walked_by_its_indexes(session: Session, direction: str) -> None:
    """30 levels of 60 files, beside ten times as many links that are no steps."""
    levels, width = 30, 60
    edges = [
        (level * width + number, (level + 1) * width + (number + shift) % width)
        for level in range(levels - 1)
        for number in range(width)
        for shift in (0, 1)
    ]
    graph = Graph(session, levels * width, edges, indirect=False)
    session.execute(
        text(
            "INSERT INTO file_ancestry_link (ancestor_id, descendant_id, job_exe_id, job_id, ancestor_job_id)"
            " SELECT :first, file.id, exe.id, exe.job_id, exe.job_id FROM scale_file file, job_exe exe"
            " WHERE exe.id BETWEEN :exe AND :exe + 8 AND file.id > :first"
        ),
        {"first": graph.files[0], "exe": graph.exes[0]},
    )
    session.execute(text("ANALYZE file_ancestry_link"))
    start = graph.files[0] if direction == "descendants" else graph.files[-1]
    values = {"file_id": start, "depth": 100, "offset": 0, "limit": 100, "max_links": 100}
    statement = load("provenance")[direction]
    plan = session.scalar(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"), values)
    looks = [node for node in _nodes(plan[0]["Plan"]) if node.get("Relation Name") == "file_ancestry_link"]
    assert looks
    read_ = sum(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in looks)
    assert read_ <= 2 * len(edges)  # the steps, once for the walk and once for the links, and nothing else
    rows = session.execute(statement, values).all()
    assert rows[0].total == sum(min(level + 1, width) for level in range(levels)) - 1


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
