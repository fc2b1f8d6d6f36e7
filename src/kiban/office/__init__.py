"""支援: the accelerator programme itself — who takes part, what is called for, who is funded, and what became of it.

The only owner of the database. Each module has `models` (tables), `schemas` (what goes in and out), `repository` (the
only place with SQL), `service` (rules; never commits) and, where people see different things, `policy` (who sees which
rows, as a part of the query). `office.Office` opens the database and gives out units of work.
"""
