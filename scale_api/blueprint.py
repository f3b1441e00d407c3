"""Blueprints whose arguments are parsed strictly: every mistake of a client becomes Invalid, named by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, NoReturn

import flask_smorest
import orjson
from flask import Request, Response
from flask.views import MethodView
from marshmallow import Schema
from webargs.flaskparser import FlaskParser

from scale_api.errors import UnsupportedMediaType
from scale_api.query import Listing, answer, page_of
from scale_api.shapes import shape_of
from scale_core.errors import Invalid, Problem

MAX_DEPTH = 64
ListView = Callable[..., tuple[Sequence[Any], int]]


class Parser(FlaskParser):
    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: Any) -> Any:
        if not req.is_json:
            if not req.get_data(cache=True):
                return {}
            raise UnsupportedMediaType()
        return parse_json(req.get_data(cache=True))

    def handle_error(self, error: Any, req: Any, schema: Any, **kwargs: Any) -> NoReturn:
        problems = [
            Problem(path, message) for messages in error.messages.values() for path, message in _flatten(messages)
        ]
        raise Invalid(problems=problems) from error


class Blueprint(flask_smorest.Blueprint):
    ARGUMENTS_PARSER = Parser()

    def listing(self, query: type[Schema], item: type[Schema]) -> Callable[[ListView], Any]:
        """A list of `item`: the view returns the rows of a page, in the shape that it is given, and the number of all.
        What the path names comes after the shape.

        Lists are not dumped by their schema: it only says which values their rows show.
        """

        def decorate(view: ListView) -> Any:
            @wraps(view)
            def get(resource: MethodView, listing: Listing, **path: Any) -> Response:
                return answer(listing, *view(resource, listing, shape_of(item), **path))

            listed = self.arguments(query, location="query")(self.response(200, page_of(item))(get))
            listed.item = item
            return listed

        return decorate


def parse_json(content: bytes) -> dict[str, Any]:
    """A JSON object; PostgreSQL could keep neither NUL characters nor bottomless nesting. Raises Invalid."""
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"JSON parse error - {error}") from None
    if not isinstance(data, dict):
        raise Invalid("The body must be a JSON object.")
    _check(data)
    return data


def _check(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str) and "\0" in item:
                raise Invalid("The body contains a NUL character (\\u0000), which cannot be stored.")
            if isinstance(item, dict):
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise Invalid(f"The body is nested more than {MAX_DEPTH} levels deep.")


def _flatten(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for key, value in messages.items():
            if key == "_schema":
                yield from _flatten(value, path)
            elif isinstance(key, int):
                yield from _flatten(value, f"{path}[{key}]")
            else:
                yield from _flatten(value, f"{path}.{key}" if path else str(key))
    elif isinstance(messages, list):
        for message in messages:
            yield from _flatten(message, path)
    else:
        yield path, str(messages)
