"""Whole databases: structure and rows table by table, each given what its keys point at."""
