from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from scale_api import create_app
from scale_core.settings import Settings
from tests.api.world import World


@pytest.fixture
def world(staged_world: World) -> World:
    return staged_world


@pytest.fixture(scope="session")
def guarded_app(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Flask:
    """An application that asks who one is."""
    environ = {
        "SCALE_HOME": str(tmp_path_factory.mktemp("guarded")),
        "SCALE_DATABASE_URL": database_url,
        "SCALE_ACCESS_CONTROL": "on",
    }
    made = create_app(Settings.from_environ(environ))
    made.testing = False
    return made


@pytest.fixture
def guarded(guarded_app: Flask, sessions: Callable[[], Session]) -> FlaskClient:
    guarded_app.extensions["scale_sessions"] = sessions
    return guarded_app.test_client()
