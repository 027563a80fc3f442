"""Run by Alembic for each command, on the connection that `widget.migrations` hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from widget.database import Json, UtcDateTime
from widget.models import metadata


def _render_item(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    # A revision describes the database of its day, so it names only SQLAlchemy's own types, which stay as they are.
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and item is Json:
        autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_render_item,
)
with context.begin_transaction():
    context.run_migrations()
