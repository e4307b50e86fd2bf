"""Run by Alembic: migrates over the connection it is handed, inside that one's transaction."""

from alembic import context

from ivr_engine.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
