"""Workspaces and the files in them: sources that were ingested, products that jobs made, and who descends from whom."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from geoalchemy2 import Geometry
from sqlalchemy import ARRAY, CheckConstraint, Column, ForeignKey, Index, String, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scale_core.db.base import Base, BigInt, Document, Id, Stamped, enum_of

if TYPE_CHECKING:
    from scale_core.db.ingest import Ingest
    from scale_core.db.job import Job, JobExecution, JobType


class FileType(StrEnum):
    SOURCE = "SOURCE"
    PRODUCT = "PRODUCT"


class Workspace(Stamped, Base):
    """A place that stores files, reached through the broker of its json_config."""

    __tablename__ = "workspace"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(50), unique=True)
    title: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str] = mapped_column(String(500), server_default="")
    base_url: Mapped[str | None] = mapped_column(String(200))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    json_config: Mapped[Document]
    is_move_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    used_size: Mapped[BigInt | None]
    total_size: Mapped[BigInt | None]
    archived: Mapped[datetime | None]


file_countries = Table(
    "scale_file_country",
    Base.metadata,
    Column("scale_file_id", ForeignKey("scale_file.id", ondelete="CASCADE"), primary_key=True),
    Column("country_data_id", ForeignKey("country_data.id"), primary_key=True, index=True),
)


class CountryData(Stamped, Base):
    """The border of a country from `effective` on."""

    __tablename__ = "country_data"
    __table_args__ = (UniqueConstraint("name", "effective"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(128))
    fips: Mapped[str] = mapped_column(String(2), server_default="")
    gmi: Mapped[str] = mapped_column(String(3), server_default="")
    iso2: Mapped[str] = mapped_column(String(2), server_default="")
    iso3: Mapped[str] = mapped_column(String(3))
    iso_num: Mapped[int] = mapped_column(server_default=text("0"))
    border: Mapped[Any] = mapped_column(Geometry("GEOMETRY", srid=4326, dimension=2))
    effective: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    is_deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    deleted: Mapped[datetime | None]
    source: Mapped[str | None] = mapped_column(String(100))  # the data set that Scale itself loaded it from


class CountryBorder(Base):
    """A piece of a country's border, of at most 128 vertices.

    Borders are found by their pieces: that of Canada has 68,000 vertices, which every look at it would unpack.
    """

    __tablename__ = "country_border"

    id: Mapped[Id]
    country_data_id: Mapped[int] = mapped_column(ForeignKey("country_data.id", ondelete="CASCADE"), index=True)
    part: Mapped[Any] = mapped_column(Geometry("GEOMETRY", srid=4326, dimension=2))


class ScaleFile(Stamped, Base):
    """A catalogued file. The columns from is_parsed on belong to sources, those from job_id on to products."""

    __tablename__ = "scale_file"
    __table_args__ = (
        Index(
            "uq_scale_file_workspace_id_file_path",
            "workspace_id",
            "file_path",
            unique=True,
            postgresql_where=text("NOT is_deleted"),
        ),
        Index("ix_scale_file_last_modified_id", "last_modified", "id"),
        Index(
            "ix_scale_file_source_data_started",
            "data_started",
            "id",
            postgresql_where=text("file_type = 'SOURCE'"),
        ),
        Index("ix_scale_file_file_type_last_modified", "file_type", "last_modified", "id"),
        Index(
            "ix_scale_file_published_last_modified",
            "last_modified",
            "id",
            postgresql_where=text("has_been_published"),
        ),
        # a job type without inputs makes the same product again and again
        Index(
            "ix_scale_file_in_force",
            "uuid",
            postgresql_where=text("has_been_published AND NOT is_superseded AND NOT is_deleted"),
        ),
        # parts of names; one letter or two of them are in no trigram
        Index(
            "ix_scale_file_file_name_part",
            "file_name",
            postgresql_using="gin",
            postgresql_ops={"file_name": "gin_trgm_ops"},
        ),
        Index("ix_scale_file_moving", "id", postgresql_where=text("moving_to IS NOT NULL")),
        Index("ix_scale_file_removal_due", "removal_due", postgresql_where=text("removal_due IS NOT NULL")),
        CheckConstraint("(file_type = 'PRODUCT') = (job_exe_id IS NOT NULL)", name="product_has_execution"),
        CheckConstraint("file_size >= 0", name="file_size"),
    )

    id: Mapped[Id]
    file_type: Mapped[FileType] = mapped_column(enum_of(FileType, "file_type"))
    file_name: Mapped[str] = mapped_column(Text, index=True)
    media_type: Mapped[str] = mapped_column(String(250))
    file_size: Mapped[BigInt]
    checksum: Mapped[str | None] = mapped_column(String(64))  # SHA-256
    data_type: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    file_path: Mapped[str] = mapped_column(Text)
    moving_to: Mapped[str | None] = mapped_column(Text)  # a new path, until the file lies there
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    is_deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    deleted: Mapped[datetime | None]
    uuid: Mapped[str] = mapped_column(String(32), index=True)
    data_started: Mapped[datetime | None]
    data_ended: Mapped[datetime | None]
    geometry: Mapped[Any | None] = mapped_column(Geometry("GEOMETRY", srid=4326, dimension=2))
    center_point: Mapped[Any | None] = mapped_column(Geometry("POINT", srid=4326, dimension=2))
    meta_data: Mapped[Document | None]

    is_parsed: Mapped[bool] = mapped_column(server_default=text("false"))
    parsed: Mapped[datetime | None] = mapped_column(index=True)

    job_exe_id: Mapped[int | None] = mapped_column(ForeignKey("job_exe.id"), index=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), index=True)
    job_type_id: Mapped[int | None] = mapped_column(ForeignKey("job_type.id"), index=True)
    job_output: Mapped[str | None] = mapped_column(String(255))
    is_operational: Mapped[bool] = mapped_column(server_default=text("true"))
    has_been_published: Mapped[bool] = mapped_column(server_default=text("false"))
    is_published: Mapped[bool] = mapped_column(server_default=text("false"))
    published: Mapped[datetime | None] = mapped_column(index=True)
    unpublished: Mapped[datetime | None]
    is_superseded: Mapped[bool] = mapped_column(server_default=text("false"))
    superseded: Mapped[datetime | None]
    removal_due: Mapped[datetime | None]  # of a deleted one, while it may still lie in its workspace: the next try

    workspace: Mapped[Workspace] = relationship()
    countries: Mapped[list[CountryData]] = relationship(secondary=file_countries, order_by="CountryData.iso3")
    job: Mapped[Job | None] = relationship("Job", foreign_keys=[job_id])
    job_exe: Mapped[JobExecution | None] = relationship("JobExecution", foreign_keys=[job_exe_id])
    job_type: Mapped[JobType | None] = relationship("JobType", foreign_keys=[job_type_id])
    ingests: Mapped[list[Ingest]] = relationship("Ingest", back_populates="source_file", order_by="Ingest.id")


class FileAncestryLink(Base):
    """`descendant` was made from `ancestor`, directly (ancestor_job_id is null) or through another job's product."""

    __tablename__ = "file_ancestry_link"
    __table_args__ = (
        UniqueConstraint("ancestor_id", "descendant_id", "job_exe_id", postgresql_nulls_not_distinct=True),
        # a source may have a million descendants, of which few were made from it directly
        Index(
            "ix_file_ancestry_link_direct_ancestor",
            "ancestor_id",
            "descendant_id",
            postgresql_where=text("ancestor_job_id IS NULL"),
        ),
        Index(
            "ix_file_ancestry_link_direct_descendant",
            "descendant_id",
            "ancestor_id",
            postgresql_where=text("ancestor_job_id IS NULL"),
        ),
    )

    id: Mapped[Id]
    ancestor_id: Mapped[int] = mapped_column(ForeignKey("scale_file.id"))
    descendant_id: Mapped[int | None] = mapped_column(ForeignKey("scale_file.id"), index=True)
    job_exe_id: Mapped[int] = mapped_column(ForeignKey("job_exe.id"), index=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), index=True)
    recipe_id: Mapped[int | None] = mapped_column(ForeignKey("recipe.id"), index=True)
    ancestor_job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), index=True)
    ancestor_job_exe_id: Mapped[int | None] = mapped_column(ForeignKey("job_exe.id"), index=True)
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))
