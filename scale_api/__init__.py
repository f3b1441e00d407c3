"""The REST API of Scale: HTTP in front of scale_core. gunicorn calls create_app()."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from scale_api import (
    access,
    compression,
    conditional,
    database,
    docs,
    entry,
    errors,
    headers,
    http_figures,
    manual,
    prometheus,
    resources,
    sign_on,
    ui,
)
from scale_api.json_provider import OrjsonProvider
from scale_api.openapi import make_api
from scale_core import VERSION, logs
from scale_core.db.session import Sessions, make_engine, make_sessions
from scale_core.settings import Settings

MAX_BODY_BYTES = 32 * 1024 * 1024


def create_app(settings: Settings | None = None, sessions: Sessions | None = None) -> Flask:
    """The WSGI application. `settings` default to the environment, `sessions` to the database that they name.

    Raises ConfigurationError when no database is configured.
    """
    if settings is None:  # in a process of our own
        settings = Settings.from_environ()
        logs.configure("api", settings.log_level, settings.log_format)
    if sessions is None:
        settings.require("database_url")
        limit_s = settings.api_statement_s
        sessions = make_sessions(make_engine(settings.database_url, statement_s=limit_s, application_name="scale-api"))
    app = Flask(__name__)
    app.json = OrjsonProvider(app)
    app.config.update(
        API_TITLE="Scale",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_PARTS=100,
    )
    if settings.trusted_proxies:
        proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, proxies, proxies, proxies)  # type: ignore[method-assign]
    app.extensions["scale_settings"] = settings
    database.init_app(app, sessions)
    entry.init_app(app)
    http_figures.init_app(app)
    headers.init_app(app)
    access.init_app(app, settings)
    compression.init_app(app)  # before the tags: what is called after a request is called in reverse
    conditional.init_app(app)
    api = make_api(app)
    resources.register(api)
    app.extensions["scale_openapi"] = api.spec
    app.register_blueprint(docs.blueprint)
    app.register_blueprint(manual.blueprint)
    app.register_blueprint(ui.blueprint)
    app.register_blueprint(prometheus.blueprint)
    app.register_blueprint(sign_on.blueprint)
    errors.init_app(app)  # after Api, which brings handlers of its own
    return app
