"""Recipes on a simulated cluster, and the daily figures of what ran.

1. Recipes of ten no-op jobs (one, four, one, three, one) from the queue to `completed`, all at once, and then steadily
   at half that rate: how long a child waits between the end of its last parent and its own place in the queue.
2. The figures of one day with many executions, computed as the clock computes them.
3. A year of figures of 20 job types as lines of a plot, one column and all of them, over HTTP.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import requests
from sqlalchemy.orm import Session, sessionmaker

from bench import api, scheduler
from bench.home import fresh_home
from bench.report import RecipesResult, Spread, say
from bench.rows import migrate, sqlalchemy_url
from bench.server import BenchFailed
from scale_core.db.recipe import RecipeType
from scale_core.db.session import make_engine, make_sessions, transaction
from scale_core.domain.recipe import RecipeData
from scale_core.services import event, metrics, queue, recipe_type
from scale_core.timestamps import utcnow
from scale_server import postgres

HERE = Path(__file__).parent
LEVELS = (1, 4, 1, 3, 1)
SIZE = sum(LEVELS)
WARM_UP = 50  # recipes, and no more than are measured
TRICKLE_SHARE = 0.5
REPEATS = 5
PLOT = "/metrics/job-types/plot-data/"

# seconds from the end of the last job that it depended on to its place in the queue, and to its start
WAITED = """
SELECT extract(epoch FROM c.queued - p.ended)::float8, extract(epoch FROM c.started - p.ended)::float8
FROM recipe_job child JOIN job c ON c.id = child.job_id CROSS JOIN LATERAL (
    SELECT max(j.ended) AS ended FROM recipe_job parent JOIN job j ON j.id = parent.job_id
    WHERE parent.recipe_id = child.recipe_id
      AND split_part(parent.job_name, '-', 1)::int = split_part(child.job_name, '-', 1)::int - 1) p
WHERE child.recipe_id > %s AND child.job_name <> '0-0'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipes", type=int, default=1000, help=f"recipes of {SIZE} jobs (default 1000; 0: none)")
    parser.add_argument("--agents", type=int, default=100, help="simulated agents of 16 cpus (default 100)")
    parser.add_argument("--executions", type=int, default=200_000, help="of one day (default 200,000; 0: none)")
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="of recipes that come steadily, a fifth for each plot (default 15)"
    )


def measure(options: argparse.Namespace) -> RecipesResult:
    """Run the benchmark. Raises BenchFailed."""
    load = os.getloadavg()
    found = _recipes(options) if options.recipes else {}
    found |= _figures(options.executions, options.seconds / 5) if options.executions else {}
    return RecipesResult(
        recipes=options.recipes,
        agents=options.agents,
        executions=options.executions,
        load=tuple(round(value, 2) for value in load),
        **found,
    )


def definition() -> dict[str, Any]:
    """Each job of a level waits for all of the level before."""
    names = [[f"{level}-{number}" for number in range(size)] for level, size in enumerate(LEVELS)]
    jobs = [
        {
            "name": name,
            "job_type": {"name": "no-op", "version": "1.0"},
            "dependencies": [{"name": parent} for parent in (names[level - 1] if level else ())],
        }
        for level, here in enumerate(names)
        for name in here
    ]
    return {"version": "1.0", "input_data": [], "jobs": jobs}


class _Recipes:
    """Queues recipes as the services do, and looks what became of them."""

    def __init__(self, scale: scheduler.SimulatedScale) -> None:
        self._scale = scale
        self._engine = make_engine(sqlalchemy_url(postgres.start(scale.home)), application_name="scale-bench")
        self._sessions: sessionmaker[Session] = make_sessions(self._engine)
        given = {"name": "bench", "version": "1.0", "definition": definition()}
        with transaction(self._sessions) as session:
            self._type = recipe_type.create(session, given, utcnow()).id
        self._queued = 0

    def queue(self, count: int) -> None:
        """One transaction each, as by REST."""
        for _ in range(count):
            with transaction(self._sessions) as session:
                now = utcnow()
                kind = session.get_one(RecipeType, self._type)
                queue.queue_recipe(session, kind, RecipeData(), event.user_event(session, now), now)
        self._queued += count

    def newest(self) -> int:
        return int(self._scale.execute("SELECT COALESCE(max(id), 0) FROM recipe")[0][0])

    def wait(self) -> float:
        """Wait until all are completed; returns when, in seconds of the monotonic clock."""
        deadline = time.monotonic() + scheduler.PATIENCE_S
        while time.monotonic() < deadline:
            ((done,),) = self._scale.execute("SELECT count(*) FROM recipe WHERE completed IS NOT NULL")
            if done >= self._queued:
                return time.monotonic()
            time.sleep(scheduler.LOOK_S)
        raise BenchFailed(f"only {done} of {self._queued} recipes completed in {scheduler.PATIENCE_S:.0f} s")

    def trickle(self, rate: float, during_s: float) -> int:
        """Queue recipes steadily for so long, `rate` a second; returns how many."""
        began, done = time.monotonic(), 0
        while (passed := time.monotonic() - began) < during_s:
            due = int(passed * rate) - done
            self.queue(due)
            done += due
            time.sleep(scheduler.TRICKLE_EVERY_S)
        return done

    def waited(self, after: int) -> tuple[list[float], list[float]]:
        rows: Sequence[tuple[float, float]] = self._scale.execute(WAITED, (after,))
        return [each[0] for each in rows], [each[1] for each in rows]

    def close(self) -> None:
        self._engine.dispose()


def _recipes(options: argparse.Namespace) -> dict[str, Any]:
    with scheduler.simulated_scale(options.agents) as scale:
        recipes = _Recipes(scale)
        try:
            say(f"warming up ({scale.home})")
            recipes.queue(min(WARM_UP, options.recipes))
            scale.let_go()
            recipes.wait()
            scale.pause()
            say(f"queueing {options.recipes} recipes of {SIZE} jobs")
            began = time.monotonic()
            recipes.queue(options.recipes)
            queuing = options.recipes / (time.monotonic() - began)
            first = recipes.newest() - options.recipes
            say("letting them go")
            before = scale.cpu_s()
            began = scale.let_go()
            wall = recipes.wait() - began
            used = {name: seconds - before[name] for name, seconds in scale.cpu_s().items()}
            jobs = options.recipes * SIZE
            at_once, _ = recipes.waited(first)
            share = options.recipes / wall * TRICKLE_SHARE
            say(f"{jobs / wall:.0f} jobs/s; now {share:.1f} recipes a second")
            first = recipes.newest()
            recipes.trickle(share, options.seconds)
            recipes.wait()
            queued, started = recipes.waited(first)
        finally:
            recipes.close()
    return {
        "wall_s": round(wall, 2),
        "rate": round(jobs / wall, 1),
        "queued_rate": round(queuing, 1),
        "child_queued_at_once": Spread.of(at_once),
        "child_queued": Spread.of(queued),
        "child_started": Spread.of(started),
        "cpu_ms": {name: round(1000 * seconds / jobs, 3) for name, seconds in used.items()},
    }


def _figures(executions: int, plot_s: float) -> dict[str, Any]:
    with fresh_home() as home:
        url = postgres.start(home)
        say(f"making two days of {executions} executions ({home})")
        migrate(url)
        _fill(url, executions)
        day = _day(url)
        say(f"a day: {day}")
        with api.serve(home, url) as (port, _):
            plot = _plot(port, plot_s)
            say(f"a year: {plot}")
    return {"day": day, "plot": plot}


def _fill(url: str, executions: int) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute((HERE / "day_rows.sql").read_text(), {"executions": executions})
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")
    finally:
        connection.close()


def _day(url: str) -> Spread:
    engine = make_engine(sqlalchemy_url(url))
    yesterday = (utcnow() - timedelta(days=1)).date()
    times = []
    for _ in range(REPEATS):
        began = time.monotonic()
        with transaction(make_sessions(engine)) as session:
            metrics.compute_day(session, yesterday)
        times.append(time.monotonic() - began)
    engine.dispose()
    return Spread.of(times)


def _plot(port: int, seconds: float) -> Mapping[str, Spread]:
    """All columns of all types together; of each type for itself, one column, and all of them."""
    ids = "&".join(f"choice_id={number}" for number in _choices(port))
    pages = "page_size=1000"
    return {
        name: Spread.of(api.repeat([api.requester(port, api.Endpoint(f"{PLOT}?{query}"))], seconds))
        for name, query in {
            "together": pages,
            "one column of each": f"{pages}&{ids}&column=run_time_avg",
            "each": f"{pages}&{ids}",
        }.items()
    }


def _choices(port: int) -> list[int]:
    session = requests.Session()
    session.trust_env = False
    answer = session.get(f"http://127.0.0.1:{port}/metrics/job-types/", timeout=60).json()
    return [each["id"] for each in answer["choices"] if each["name"].startswith("algorithm-")]
