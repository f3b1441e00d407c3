"""Product services."""

from __future__ import annotations

from typing import Any

from flask.views import MethodView
from marshmallow import fields

from scale_api.blueprint import Blueprint
from scale_api.conditional import if_match
from scale_api.database import session, transaction
from scale_api.fields import Body, Flag, ids, texts
from scale_api.query import Listing, ListQuery, name_part, order_by
from scale_api.resources.file import UpdateAnswer
from scale_api.schemas import ProductAnswer, SourceAnswer
from scale_core.queries import file as queries
from scale_core.queries.shape import Shape
from scale_core.services import product as services
from scale_core.services import version
from scale_core.timestamps import utcnow

blp = Blueprint("product", __name__, description="Products that Scale has produced")


class ProductQuery(ListQuery):
    filters = queries.ProductFilters
    order = order_by(queries.PRODUCT_ORDER)
    job_type_id = ids(attribute="job_type_ids")
    job_type_name = texts(attribute="job_type_names")
    job_type_category = texts(attribute="job_type_categories")
    is_operational = Flag()
    is_published = Flag()
    is_superseded = Flag()
    file_name = texts(attribute="file_names")
    file_name_part = name_part()


class ProductPatch(Body):
    is_published = Flag(metadata={"description": "false takes the product back, true publishes it again."})


class ProductUpdateAnswer(ProductAnswer):
    update = fields.Nested(UpdateAnswer)
    source_files = fields.List(fields.Nested(SourceAnswer))


class ProductDetailsAnswer(ProductAnswer):
    sources = fields.List(fields.Nested(SourceAnswer))
    ancestors = fields.List(fields.Nested(ProductAnswer))
    descendants = fields.List(fields.Nested(ProductAnswer))


@blp.route("/products/")
class Products(MethodView):
    @blp.listing(ProductQuery, ProductAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Product List"""
        return queries.list_products(session(), listing.filters, listing.page, shape)


@blp.route("/products/updates/")
class ProductUpdates(MethodView):
    @blp.listing(ProductQuery, ProductUpdateAnswer)
    def get(self, listing: Listing, shape: Shape) -> Any:
        """Product Updates"""
        return queries.list_product_updates(session(), listing.filters, listing.page, shape)


@blp.route("/products/<id:product_id>/")
class ProductDetails(MethodView):
    version_field = "last_modified"

    @blp.response(200, ProductDetailsAnswer)
    def get(self, product_id: int) -> Any:
        """Product Details"""
        return queries.get_product(session(), product_id)

    @blp.arguments(ProductPatch)
    @blp.response(200, ProductDetailsAnswer)
    def patch(self, body: dict[str, Any], product_id: int) -> Any:
        """Unpublish Product, or publish it again; 409 for one that was superseded or deleted"""
        with transaction() as writing:
            version.require(writing, "product", product_id, if_match())
            services.edit(writing, product_id, body, utcnow())
        return queries.get_product(session(), product_id)

    @blp.response(204)
    def delete(self, product_id: int) -> None:
        """Delete Product: it shows as deleted, and its file is removed from the workspace soon after"""
        with transaction() as writing:
            version.require(writing, "product", product_id, if_match())
            services.delete(writing, product_id, utcnow())


@blp.route("/products/<string:file_name>/")
class ProductByName(MethodView):
    @blp.response(200, ProductDetailsAnswer)
    def get(self, file_name: str) -> Any:
        """Product Details of the newest product of a name"""
        return queries.get_product(session(), file_name)
