"""Two parents that end at the same moment, in two connections, must not strand their child."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from scale_core.db.job import Job, JobType
from scale_core.db.recipe import RecipeJob
from scale_core.db.session import transaction
from scale_core.domain.job import JobStatus
from scale_core.services import execution
from tests import factories
from tests.conftest import NOW

RACES, IN_A_RECIPE = 1000, 10


def family(number: int, type_: JobType) -> list[dict[str, Any]]:
    """Two parents and their child; by name, the parents stand beside each other."""
    parents = [f"parent {number} left", f"parent {number} right"]
    return [*(factories.place(name, type_) for name in parents), factories.place(f"child {number}", type_, parents)]


def test_child_is_queued_once_however_its_parents_end(committed: sessionmaker[Session]) -> None:
    with transaction(committed) as session:
        type_ = factories.make_no_op_type(session)
        places = [place for number in range(IN_A_RECIPE) for place in family(number, type_)]
        recipe_type = factories.make_recipe_type(session, factories.definition(*places))
        for _ in range(RACES // IN_A_RECIPE):
            factories.make_recipe(session, recipe_type)
        query = select(Job).join(RecipeJob, RecipeJob.job_id == Job.id).where(RecipeJob.job_name.not_like("child%"))
        parents = session.scalars(query.order_by(RecipeJob.recipe_id, RecipeJob.job_name)).all()
        ended = factories.run_and_end(session, parents, factories.make_node(session))
        pairs = [(one.id, other.id) for one, other in zip(ended[::2], ended[1::2], strict=True)]
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
        query = select(Job.status, Job.num_exes).join(RecipeJob).where(RecipeJob.job_name.like("child%"))
        assert Counter(map(tuple, session.execute(query))) == {(JobStatus.QUEUED, 1): RACES}
