"""One server for all journeys: starting every process takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("journey")


@pytest.fixture(scope="session")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scale]:
    home = tmp_path_factory.mktemp("journeys")
    try:
        with scale_process.scale(home) as running:
            yield running
    finally:
        postgres.destroy(home)
