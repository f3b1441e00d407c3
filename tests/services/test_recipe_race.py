"""Two parents that end at the same moment, in two connections, must not strand their child."""

from __future__ import annotations

import threading
from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.job import Job
from scale_core.db.recipe import RecipeJob
from scale_core.db.session import transaction
from scale_core.domain.job import JobStatus
from scale_core.services import execution
from tests import factories
from tests.conftest import NOW

RACES = 1000


def test_child_is_queued_once_however_its_parents_end(committed: sessionmaker[Session]) -> None:
    with transaction(committed) as session:
        type_ = factories.make_no_op_type(session)
        document = factories.definition(
            factories.place("left", type_),
            factories.place("right", type_),
            factories.place("child", type_, ["left", "right"]),
        )
        recipe_type = factories.make_recipe_type(session, document)
        node = factories.make_node(session)
        pairs = []
        for _ in range(RACES):
            recipe = factories.make_recipe(session, recipe_type)
            query = select(Job).join(RecipeJob, RecipeJob.job_id == Job.id)
            query = query.where(RecipeJob.recipe_id == recipe.id, RecipeJob.job_name != "child").order_by(Job.id)
            jobs = session.scalars(query).all()
            pairs.append([factories.end(session, factories.run(session, job, node)).id for job in jobs])
    together = threading.Barrier(2)
    problems: list[BaseException] = []

    def finish(side: int) -> None:
        try:
            for pair in pairs:
                together.wait(60)
                with transaction(committed) as session:
                    assert execution.finish(session, [pair[side]], NOW).job_exe_ids == (pair[side],)
        except BaseException as problem:
            problems.append(problem)
            together.abort()

    sides = [threading.Thread(target=finish, args=(side,)) for side in (0, 1)]
    for each in sides:
        each.start()
    for each in sides:
        each.join()
    assert not problems
    with transaction(committed) as session:
        query = select(Job.status, Job.num_exes).join(RecipeJob).where(RecipeJob.job_name == "child")
        assert Counter(map(tuple, session.execute(query))) == {(JobStatus.QUEUED, 1): RACES}
