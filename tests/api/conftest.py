from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from tests.api.world import World, make_world


@pytest.fixture
def world(session: Session) -> World:
    made = make_world(session)
    session.commit()
    return made
