"""Any catalogued file and its content; source file services."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import Response, current_app, request
from flask.views import MethodView
from marshmallow import fields, validate
from werkzeug.wsgi import wrap_file

from scale_api import database, headers
from scale_api.blueprint import Blueprint
from scale_api.database import session
from scale_api.fields import Answer, Flag, Time, texts
from scale_api.query import Listing, ListQuery, PageQuery, WholeNumber, name_part, order_by
from scale_api.schemas import FileAnswer, FileRef, JobInLink, ProductAnswer, Reference, SourceAnswer
from scale_core.brokers import broker_for
from scale_core.errors import NotFound
from scale_core.queries import file as queries
from scale_core.queries import provenance
from scale_core.queries.shape import Shape

if TYPE_CHECKING:
    from scale_core.db.file import ScaleFile

# what a browser may show: it runs nothing that is in it
SHOWN = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff", "text/plain", "text/csv"}
)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}(; ?charset=[\w-]{1,40})?", re.ASCII)

blp = Blueprint("file", __name__, description="Files that Scale tracks, and the sources that it ingested")


class FileQuery(ListQuery):
    filters = queries.FileFilters
    order = order_by(queries.FILE_ORDER)
    file_name = texts(attribute="file_names")
    file_name_part = name_part()


class SourceQuery(ListQuery):
    filters = queries.SourceFilters
    order = order_by(queries.FILE_ORDER)
    file_name = texts(attribute="file_names")
    file_name_part = name_part()
    is_parsed = Flag()


class ProvenanceQuery(PageQuery):
    filters = provenance.Reach
    depth = WholeNumber(
        load_default=provenance.DEFAULT_DEPTH,
        validate=validate.Range(1, provenance.MAX_DEPTH),
        metadata={"description": "How many jobs may lie in between, at most."},
    )


class RelativeAnswer(FileAnswer):
    """A file inside of the provenance of another."""

    file_type = fields.String()
    is_published = fields.Boolean()
    is_superseded = fields.Boolean()


class LinkAnswer(Answer):
    """One step of the way: the job that made one file from the other. `file` is the one nearer to where it began."""

    file = fields.Nested(FileRef)
    job = fields.Nested(JobInLink)
    job_exe = Reference("job_exe_id")
    recipe = Reference("recipe_id")


class ProvenanceAnswer(Answer):
    """An ancestor or a descendant. `depth` is the length of the shortest way; of the links 100 are shown."""

    depth = fields.Integer()
    file = fields.Nested(RelativeAnswer)
    num_links = fields.Integer()
    links = fields.List(fields.Nested(LinkAnswer))


class UpdateAnswer(Answer):
    action = fields.String()
    when = Time(allow_none=True)


class SourceUpdateAnswer(SourceAnswer):
    update = fields.Nested(UpdateAnswer)


class SourceIngestAnswer(Answer):
    id = fields.Integer()
    file_name = fields.String()
    status = fields.String()
    bytes_transferred = fields.Integer()
    transfer_started = Time()
    transfer_ended = Time(allow_none=True)
    media_type = fields.String()
    file_size = fields.Integer(allow_none=True)
    data_type = fields.List(fields.String())
    ingest_started = Time(allow_none=True)
    ingest_ended = Time(allow_none=True)
    created = Time()
    last_modified = Time()


class SourceDetailsAnswer(SourceAnswer):
    ingests = fields.List(fields.Nested(SourceIngestAnswer))
    products = fields.List(fields.Nested(ProductAnswer))


@blp.route("/files/")
class Files(MethodView):
    @blp.listing(FileQuery, FileAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """File List"""
        return queries.list_files(session(), listing.filters, listing.page, shape)


@blp.route("/files/<id:file_id>/")
class FileDetails(MethodView):
    @blp.response(200, FileAnswer)
    def get(self, file_id: int) -> Any:
        """File Details"""
        return queries.get_file(session(), file_id)


@blp.route("/files/<id:file_id>/content/")
class FileContent(MethodView):
    @blp.response(200, {"type": "string", "format": "binary"}, content_type="*/*")
    def get(self, file_id: int) -> Any:
        """The content of a file; ranges are understood"""
        file = queries.get_file(session(), file_id)
        database.release()  # a download may take hours
        if file.is_deleted:
            raise NotFound(f"The file {file.file_name!r} was deleted.")
        return _stream(file)


@blp.route("/files/<id:file_id>/ancestors/")
class FileAncestors(MethodView):
    @blp.listing(ProvenanceQuery, ProvenanceAnswer)
    def get(self, listing: Listing, shape: Shape, file_id: int) -> Any:
        """What a file was made from, nearest first, with the jobs in between"""
        return provenance.list_ancestors(session(), file_id, listing.filters, listing.page, shape)


@blp.route("/files/<id:file_id>/descendants/")
class FileDescendants(MethodView):
    @blp.listing(ProvenanceQuery, ProvenanceAnswer)
    def get(self, listing: Listing, shape: Shape, file_id: int) -> Any:
        """What was made from a file, nearest first, with the jobs in between"""
        return provenance.list_descendants(session(), file_id, listing.filters, listing.page, shape)


@blp.route("/sources/")
class Sources(MethodView):
    @blp.listing(SourceQuery, SourceAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Source File List"""
        return queries.list_sources(session(), listing.filters, listing.page, shape)


@blp.route("/sources/updates/")
class SourceUpdates(MethodView):
    @blp.listing(SourceQuery, SourceUpdateAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Source File Updates"""
        return queries.list_source_updates(session(), listing.filters, listing.page, shape)


@blp.route("/sources/<id:source_id>/")
class SourceDetails(MethodView):
    @blp.response(200, SourceDetailsAnswer)
    def get(self, source_id: int) -> Any:
        """Source File Details"""
        return queries.get_source(session(), source_id)


@blp.route("/sources/<string:file_name>/")
class SourceByName(MethodView):
    @blp.response(200, SourceDetailsAnswer)
    def get(self, file_name: str) -> Any:
        """Source File Details of the newest source of a name"""
        return queries.get_source(session(), file_name)


def _stream(file: ScaleFile) -> Response:
    broker = broker_for(file.workspace.json_config.get("broker") or {}, current_app.extensions["scale_settings"])
    content = broker.open(file.file_path)
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    response = Response(wrap_file(request.environ, content), direct_passthrough=True)
    response.call_on_close(content.close)
    response.content_length = size
    media_type = file.media_type or ""
    response.headers["Content-Type"] = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    # products are made by algorithms: a page among them must not act in the name of whoever looks at it
    how = "inline" if media_type in SHOWN else "attachment"
    response.headers["Content-Disposition"] = f"{how}; filename*=UTF-8''{quote(file.file_name, safe='')}"
    response.headers["Content-Security-Policy"] = headers.FILES
    if file.checksum:
        response.set_etag(file.checksum)
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=size)
    except Exception:
        content.close()
        raise
    return response
