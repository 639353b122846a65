"""Databases: integrity, structure, associations along keys, SQL workloads, judges of entities."""
