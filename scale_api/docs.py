"""The landing, and the documentation of the API by a Swagger UI whose files this process serves itself."""

from __future__ import annotations

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, jsonify, redirect, render_template, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue

from scale_core import VERSION

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"

blueprint = Blueprint("docs", __name__)


@blueprint.get("/")
def landing() -> ResponseReturnValue:
    """Where to go from here: browsers to the web UI, programs find the addresses."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return redirect("/ui/")
    return jsonify(
        name="Scale",
        version=VERSION,
        ui=url_for("ui.page", _external=True),
        docs=url_for("manual.index", _external=True),
        openapi=url_for("api-docs.openapi_json", _external=True),
    )


@blueprint.get("/docs/api/")
def page() -> str:
    return render_template("docs.html")


@blueprint.get("/docs/assets/<path:name>")
def asset(name: str) -> Response:
    return send_from_directory(ASSETS, name, max_age=86400)
