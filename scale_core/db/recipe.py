"""Recipe types with their revisions, recipes, and the jobs of a recipe."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from scale_core.db.base import Base, Document, Id, Stamped

if TYPE_CHECKING:
    from scale_core.db.job import Job
    from scale_core.db.trigger import TriggerEvent, TriggerRule


class RecipeType(Stamped, Base):
    __tablename__ = "recipe_type"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(50))
    version: Mapped[str] = mapped_column(String(50))
    title: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    definition: Mapped[Document]
    revision_num: Mapped[int] = mapped_column(server_default=text("1"))
    trigger_rule_id: Mapped[int | None] = mapped_column(ForeignKey("trigger_rule.id"), unique=True)
    archived: Mapped[datetime | None]

    trigger_rule: Mapped[TriggerRule | None] = relationship("TriggerRule")


class RecipeTypeRevision(Base):
    """The definition as it was when recipes were created."""

    __tablename__ = "recipe_type_revision"
    __table_args__ = (UniqueConstraint("recipe_type_id", "revision_num"),)

    id: Mapped[Id]
    recipe_type_id: Mapped[int] = mapped_column(ForeignKey("recipe_type.id"))
    revision_num: Mapped[int]
    definition: Mapped[Document]
    created: Mapped[datetime] = mapped_column(server_default=text("now()"))

    recipe_type: Mapped[RecipeType] = relationship()


class Recipe(Stamped, Base):
    __tablename__ = "recipe"
    __table_args__ = (
        Index("ix_recipe_last_modified_id", "last_modified", "id"),
        Index("ix_recipe_recipe_type_id_last_modified_id", "recipe_type_id", "last_modified", "id"),
    )

    id: Mapped[Id]
    recipe_type_id: Mapped[int] = mapped_column(ForeignKey("recipe_type.id"))
    recipe_type_rev_id: Mapped[int] = mapped_column(ForeignKey("recipe_type_revision.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("trigger_event.id"), index=True)
    data: Mapped[Document]
    completed: Mapped[datetime | None] = mapped_column(index=True)

    recipe_type: Mapped[RecipeType] = relationship()
    recipe_type_rev: Mapped[RecipeTypeRevision] = relationship()
    event: Mapped[TriggerEvent] = relationship("TriggerEvent")
    jobs: Mapped[list[RecipeJob]] = relationship(back_populates="recipe", order_by="RecipeJob.job_id")


class RecipeJob(Base):
    """The job that plays the part `job_name` in a recipe; a job belongs to at most one recipe."""

    __tablename__ = "recipe_job"
    __table_args__ = (UniqueConstraint("recipe_id", "job_name"),)

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    recipe_id: Mapped[int] = mapped_column(ForeignKey("recipe.id"))
    job_name: Mapped[str] = mapped_column(String(255))

    recipe: Mapped[Recipe] = relationship(back_populates="jobs")
    job: Mapped[Job] = relationship("Job", back_populates="recipe_job")
