"""`kiban office serve`."""

from __future__ import annotations

import os

import click

from kiban.cli.office.common import as_json_option, print_result


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for the network; then use a proxy.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free one.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--path-prefix", default="", metavar="PATH", help="Before every path, as callers see it: /kiban.")
@as_json_option
def serve(host: str, port: int, workers: int, path_prefix: str, as_json: bool) -> None:
    """Serve the pages and /api/v1, and do what falls due: closing calls, sending notices, reading usage.

    On SQLite the tables are made and kept up to date; on PostgreSQL run `kiban office migrate` first.
    """
    if path_prefix:
        os.environ["KIBAN_PATH_PREFIX"] = path_prefix  # the workers read it
    from kiban.kit.addresses import claim_port
    from kiban.office.settings import Settings
    from kiban.portal import server

    settings = Settings.from_environment()
    listener = claim_port(host, port)
    server.prepare(settings)

    def ready(url: str) -> None:
        whole = url + settings.path_prefix
        print_result(as_json, {"url": whole, "workers": workers, "pid": os.getpid()}, f"office at {whole}")

    server.serve(listener, workers, ready)
