"""Ingestion: from where descriptors are kept into the catalog."""
