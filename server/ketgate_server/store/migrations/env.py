"""Run by Alembic: applies the migrations on the connection that upgrade() opened."""

from alembic import context

from ketgate_server.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
