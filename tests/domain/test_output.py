from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scale_core.domain.output import output_path, safe_name

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_outputs_of_a_recipe_lie_by_the_day_of_their_source() -> None:
    started = datetime(2015, 3, 4, 23, tzinfo=UTC)
    path = output_path(7, ("make geotiff", "1.0"), ("my-recipe", "2"), started, NOW)
    assert path == "recipes/my-recipe/2/jobs/make_geotiff/1.0/2015/03/04/job_exe_7"


def test_without_a_known_time_today_counts() -> None:
    path = output_path(7, ("thumb", "1.0"), None, None, NOW)
    assert path == "jobs/thumb/1.0/unknown_source_data_time/2026/11/22/job_exe_7"


@pytest.mark.parametrize(("text", "name"), [("../../etc", "....etc"), ("..", "_"), ("a b/c$(x)", "a_bcx"), ("", "_")])
def test_a_name_is_one_harmless_part_of_a_path(text: str, name: str) -> None:
    assert safe_name(text) == name
