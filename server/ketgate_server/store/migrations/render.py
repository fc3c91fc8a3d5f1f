"""Writes schema.sql, the schema of a new SQLite store, from the tables of schema.py.

python -m ketgate_server.store.migrations.render
"""

from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from ketgate_server.store.migrations import head
from ketgate_server.store.schema import metadata
from ketgate_server.store.transaction import COUNTERS

SCHEMA_FILE = Path(__file__).parents[1] / "schema.sql"

_TOP = """\
-- The whole schema at head, for a new store; written by ketgate_server.store.migrations.render. Upgrades of an older
-- store run the migrations instead; a test holds the two equal. Times are microseconds since 1970, UTC.
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
"""


def schema_sql() -> str:
    dialect = sqlite.dialect()
    statements: list[str] = []
    for table in metadata.tables.values():
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        elements: list[ExecutableDDLElement] = [CreateTable(table), *map(CreateIndex, indexes)]
        for element in elements:
            lines = str(element.compile(dialect=dialect)).strip().splitlines()
            statements.append("\n".join(line.rstrip() for line in lines if line.strip()))
    zeros = ", ".join(f"('{name}', 0)" for name in COUNTERS)
    statements.append(f"INSERT INTO counters (name, value) VALUES {zeros}")  # noqa: S608
    statements.append(f"INSERT INTO alembic_version (version_num) VALUES ('{head()}')")  # noqa: S608
    return _TOP + "".join(f"{statement};\n" for statement in statements)


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_sql(), encoding="utf-8")
