"""Alembic revisions of the office's tables; `kiban.office.schema` runs them.

A new one is written by comparing the tables with what the revisions make so far:
`python -m kiban.office.migrations.revise "what changes"`. Read what it wrote: renamed columns look like one removed
and one added.
"""
