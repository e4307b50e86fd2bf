"""The history of the schema, oldest first; run by ``ivr_engine.store.schema``."""
