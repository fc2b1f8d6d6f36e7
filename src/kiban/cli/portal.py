"""`kiban portal`."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kiban.cli.office.common import as_json_option, print_result

if TYPE_CHECKING:
    from kiban.office.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for the network; then use a proxy.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free one.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--path-prefix", default="", metavar="PATH", help="Before every path, as callers see it: /kiban.")
@click.option("--demo", is_flag=True, help="Fill an empty database with a fictional season first.")
@click.option("--model", metavar="MODEL", help="For the playground, as `kiban serve` takes it; default: the newest.")
@click.option("--no-model", is_flag=True, help="Serve no model beside the pages.")
@as_json_option
@click.pass_obj
def portal(
    store: Path,
    host: str,
    port: int,
    workers: int,
    path_prefix: str,
    demo: bool,
    model: str | None,
    no_model: bool,
    as_json: bool,
) -> None:
    """Start the whole programme on this machine: its pages, its API, and a model to talk to.

    Makes the database where there is none, and asks for the first operator, or prints a link to the page that does.
    `kiban office serve` is the same server alone, for a service with PostgreSQL behind a proxy.
    """
    from kiban.kit.addresses import claim_port
    from kiban.kit.errors import BadInput
    from kiban.office.settings import Settings
    from kiban.portal import server, standalone

    if model and no_model:
        raise BadInput("either a model or none", where="--model", hint="leave --no-model out")
    listener = claim_port(host, port)
    address = standalone.Address(host, listener.getsockname()[1], path_prefix)
    os.environ.update(standalone.surroundings(os.environ, address, store.absolute()))  # the workers read it
    settings = Settings.from_environment()
    server.prepare(settings)
    told, lines = _people(settings, demo)
    beside = None
    if not no_model and not settings.serving_url:
        if model:
            standalone.check_model(settings.store, model)
        model = model or standalone.newest_model(settings.store)
        if model:
            log = settings.home / "model.log"
            beside, found = standalone.model_server(model, settings.store, os.environ, log)
            os.environ.update(found)
            lines.append(f"model {model[:12]} is loading for the playground; its log is {log}")
        else:
            lines.append(f"no model in {settings.store} yet: `kiban make RECIPE` makes one for the playground")
    if not settings.cookie_secure:
        lines.append("cookies are not marked Secure: this is plain HTTP to your own machine")
    elif not settings.public_url.startswith("https://"):
        lines.append(
            "browsers keep no sign-in over plain HTTP: put a proxy with TLS before it and set KIBAN_PUBLIC_URL"
        )

    def ready(url: str) -> None:
        value = {"url": url + settings.path_prefix, "pid": os.getpid(), "workers": workers, "model": model, **told}
        print_result(as_json, value, *lines, f"portal at {value['url']}  (Ctrl-C stops)")

    if beside is not None:
        beside.start()
    try:
        server.serve(listener, workers, ready)
    finally:
        if beside is not None:
            beside.stop()


def _people(settings: Settings, demo: bool) -> tuple[dict[str, Any], list[str]]:
    """See that there is somebody to sign in as: as JSON, and as lines."""
    if demo:
        return _demo(settings)
    from kiban.office.members import first_run, service
    from kiban.office.office import Office

    office = Office(settings)
    try:
        with office.work(read_only=True) as work:
            if not first_run.is_wanted(work):
                return {}, []
        if sys.stdin.isatty():
            click.echo("There is no operator yet. The first one invites everybody else.", err=True)
            name = click.prompt("Name", err=True)
            email = click.prompt("E-mail address", err=True)
            password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
            with office.work() as work:
                person = service.first_operator(work, email, name, password)
            return {"operator": person.email}, [f"{person.email} is the first operator."]
        token = first_run.new_link_token(settings, office.clock())
    finally:
        office.close()
    language = "ja" if os.environ.get("LANG", "").startswith("ja") else "en"
    url = f"{settings.public_url}/{language}/first-run?token={token}"
    return {"first_run_url": url}, [f"There is no operator yet. Within an hour, make the first one at\n  {url}"]


def _demo(settings: Settings) -> tuple[dict[str, Any], list[str]]:
    from kiban.cli.office.demo import account_lines, telling
    from kiban.office.season.accounts import kept_accounts
    from kiban.office.season.play import fill, holds_season
    from kiban.portal import logs

    logs.configure(logging.ERROR, for_good=False)  # the server says more, once it is there
    if not holds_season(settings):
        click.echo("Filling the database with a season; this takes a minute or two.", err=True)
        fill(settings, tell=telling())
    accounts = kept_accounts(settings)
    return {"accounts": [asdict(each) for each in accounts], "demo_only": True}, account_lines(accounts)
