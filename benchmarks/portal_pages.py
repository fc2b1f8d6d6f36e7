"""How long the portal's pages take at 100 concurrent clients, on PostgreSQL.

The data are the demo season, ten times over, as `office_api.py` keeps it. The server is `kiban office serve` with two
workers; the clients are 100 connections of one other process. They read every page that can be listed without knowing
more than the season's rows, in both languages, as nobody, an operator, an auditor, a reviewer and an applicant, with
gzip, as browsers ask. All of it, the database too, shares this machine.

Together they ask for 300 pages a second, each client at random moments as people do, and a page's time counts from the
moment at which it was wanted. Pages are read while nothing changes; with five acts a second written to tables that most
pages do not ask; and with five changes a second to the pools, which make the server read many of them anew. Then each
client asks for its next page the moment the last has come (`saturated`): that tells how many pages the machine can
send. Every time there is the queue's: 100 clients at n pages a second wait 100/n seconds each, whatever is served.

The peer is the least that could show the same rows: a bare Starlette application with one hand-written statement and
one Jinja template for the list of calls and a call, without accounts, rules, languages or logs, on the same server
with the same workers and asked as often. The ratio is our p95, with acts, to its own. The bars: a p95 below 80 ms and
at least 250 pages a second while nothing changes and with acts. Any answer other than 200 makes the run invalid.

It also tells what the first visit weighs: the front page with all that it loads, as sent.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import jinja2
import psycopg
import psycopg.rows
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from uvicorn.supervisors import Multiprocess

from kiban.office.members import sessions
from kiban.office.members.models import Person, RoleGrant
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import Role
from shared.season_load import (
    FOLDER,
    SCALE,
    WORKERS,
    WRITES_PER_SECOND,
    Read,
    Source,
    act,
    change,
    load,
    rounds_of,
    served,
    writing,
)

BAR_MS, BAR_PER_SECOND, BAR_FIRST_BYTES = 80.0, 250, 100_000
CLIENTS = 100
ASKED_PER_SECOND = 300.0
WARM_SECONDS = 10.0  # until both workers have made each page once
READERS = (Role.OPERATOR, Role.AUDITOR, Role.REVIEWER, Role.APPLICANT)
LANGUAGES = ("ja", "en")
# How many different rows of a kind each reader opens.
ROWS = 5
PUBLIC = ("", "/calls", "/awards", "/models", "/supply", "/open-data", "/sign-in", "/figures")
OWN = ("/proposals", "/grants", "/ledger", "/ledger/postings", "/usage", "/notices", "/account")
OFFICE = ("/members", "/audit", "/reviews", "/studio", "/office")
# Pages of one row: its address and where ids of rows are found.
SINGLE = {
    "/calls/{}": ("calls", "status <> 'draft'"),
    "/proposals/{}": ("proposals", "status <> 'draft'"),
    "/grants/{}": ("grants", "1 = 1"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter rounds; about a minute")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--scale", type=int, default=SCALE, help="of the demo season; below 10 decides nothing")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the filled database is kept between runs")
    parser.add_argument("--postgresql", help="URL of a server to use in place of one of its own")
    options = parser.parse_args()
    seconds, rounds = (3.0, 3) if options.quick else (10.0, 5)
    with tempfile.TemporaryDirectory() as scratch:
        source = Source(options.folder, options.scale, options.postgresql)
        with source.copy("postgresql", Path(scratch)) as url:
            found = measure(url, Path(scratch) / "home", seconds, rounds)
    ours, peer = found["with_acts"]["p95_ms"], found["peer"]["p95_ms"]
    held = [found[each] for each in ("unchanging", "with_acts")]
    valid = all(each["failed"] == 0 for each in found.values() if isinstance(each, dict))
    result = {
        "name": "portal_pages",
        "ours": ours,
        "peer": peer,
        "ratio": round(ours / peer, 2),
        "bar": BAR_MS,
        "bar_per_second": BAR_PER_SECOND,
        "bar_first_visit_bytes": BAR_FIRST_BYTES,
        "ok": valid
        and options.scale >= SCALE
        and all(each["p95_ms"] < BAR_MS and each["per_second"] >= BAR_PER_SECOND for each in held)
        and found["first_visit_bytes"] < BAR_FIRST_BYTES,
        "valid": valid,
        "n": found["with_acts"]["requests"],
        "unit": "ms",
        "clients": CLIENTS,
        "workers": WORKERS,
        "scale": options.scale,
        "writes_per_second": WRITES_PER_SECOND,
        "load_average": os.getloadavg()[0],
        **found,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def measure(url: str, home: Path, seconds: float, rounds: int) -> dict[str, Any]:
    home.mkdir()
    settings = Settings(home=home, store=home, database_url=url, cookie_secure=False)
    office = Office(settings)
    with office.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))
    wanted = reads_of(office)
    environment = os.environ | {
        "KIBAN_HOME": str(home),
        "KIBAN_STORE": str(home),
        "KIBAN_DATABASE_URL": url,
        "KIBAN_COOKIE_SECURE": "false",
    }
    ours = [sys.executable, "-m", "kiban", "office", "serve", "--port", "0", "--workers", str(WORKERS), "--json"]
    found: dict[str, Any] = {}
    with served(ours, home / "log", environment) as (port, pid):
        reads = [read for read in wanted if _status(port, read) == 200]
        found["pages"] = len(reads)
        found["first_visit_bytes"] = first_visit_bytes(port)
        load(port, reads, CLIENTS, WARM_SECONDS)
        given: dict[str, Any] = {
            "clients": CLIENTS,
            "seconds": seconds,
            "rounds": rounds,
            "per_second": ASKED_PER_SECOND,
        }
        found["unchanging"] = rounds_of(port, pid, reads, **given)
        with writing(office, act):
            found["with_acts"] = rounds_of(port, pid, reads, **given)
        with writing(office, change):
            found["with_changes"] = rounds_of(port, pid, reads, **given)
        found["saturated"] = rounds_of(port, pid, reads, **given | {"per_second": 0.0})
    office.close()
    calls = [(path, "") for path, header in reads if re.fullmatch(r"/ja/calls(/[0-9a-f-]{36})?", path) and not header]
    with served([sys.executable, __file__, "--peer"], home / "peer-log", environment) as (port, pid):
        load(port, calls, CLIENTS, WARM_SECONDS)
        found["peer"] = rounds_of(port, pid, calls, **given)
    return found


def reads_of(office: Office) -> list[Read]:
    """Pages of the season, each with the cookie of who reads; some of them the reader may not see."""
    cookies = {}
    ids: dict[str, list[uuid.UUID]] = {}
    with office.work() as work:
        for role in READERS:
            having = sa.select(Person).join(RoleGrant, RoleGrant.person_id == Person.id).where(RoleGrant.role == role)
            person = work.session.scalars(having.order_by(Person.id).limit(1)).one()
            opened = sessions.open_session(work, person, is_strong=True, replaces=None, user_agent="benchmark")
            cookies[role] = f"Cookie: {sessions.cookie_name(office.settings)}={opened.cookie}"
        for path, (table, condition) in SINGLE.items():
            statement = sa.text(f"SELECT id FROM {table} WHERE {condition} ORDER BY id LIMIT 200")
            ids[path] = list(work.session.scalars(statement))[:: 200 // ROWS // 2][:ROWS]
    rows = [path.format(each) for path, found in ids.items() for each in found]
    reads = [(f"/{language}{path}", "") for language in LANGUAGES for path in (*PUBLIC, *rows)]
    for role, cookie in cookies.items():
        paths = (*PUBLIC, *OWN, *rows) if role is Role.APPLICANT else (*PUBLIC, *OWN, *OFFICE, *rows)
        reads += [(f"/{language}{path}", cookie) for language in LANGUAGES for path in paths]
    return reads


def _status(port: int, read: Read) -> int:
    path, header = read
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if header:
        request.add_header(*header.split(": ", 1))
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def first_visit_bytes(port: int) -> int:
    """Bodies of the front page, of every file that it names, and of the modules that those name, as sent with gzip."""
    done: dict[str, int] = {}
    waiting = ["/ja"]
    while waiting:
        path = waiting.pop()
        if path in done:
            continue
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
            is_packed = answer.headers.get("Content-Encoding") == "gzip"
        done[path] = len(body)
        if is_packed:
            body = gzip.decompress(body)
        text = body.decode("utf-8", "replace")
        if path == "/ja":
            waiting += re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
        elif path.endswith(".js"):
            waiting += [path.rsplit("/", 1)[0] + "/" + each for each in re.findall(r'from "\./([^"]+)"', text)]
            waiting += [path.rsplit("/", 1)[0] + "/" + each for each in re.findall(r'import "\./([^"]+)"', text)]
    return sum(done.values())


_PEER_PAGE = jinja2.Environment(autoescape=True).from_string(
    "<!doctype html><html lang=ja><title>Calls</title><main><table>{% for row in rows %}<tr>{% for value in "
    "row.values() %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</table></main></html>"
)


def peer() -> Starlette:
    """Calls as they lie in the database; one connection for each thread."""
    url = sa.make_url(os.environ["KIBAN_DATABASE_URL"]).set(drivername="postgresql")
    held = threading.local()

    def rows(where: str, given: tuple[Any, ...]) -> list[dict[str, Any]]:
        if not hasattr(held, "connection"):
            plain = url.render_as_string(hide_password=False)
            held.connection = psycopg.connect(plain, autocommit=True, row_factory=psycopg.rows.dict_row)
        found: list[dict[str, Any]] = held.connection.execute(f"SELECT * FROM calls {where}", given).fetchall()
        return found

    def listed(request: Request) -> HTMLResponse:
        found = rows("WHERE published_at IS NOT NULL ORDER BY id DESC LIMIT 50", ())
        return HTMLResponse(_PEER_PAGE.render(rows=found))

    def single(request: Request) -> HTMLResponse:
        return HTMLResponse(_PEER_PAGE.render(rows=rows("WHERE id = %s", (uuid.UUID(request.path_params["id"]),))))

    return Starlette(routes=[Route("/ja/calls", listed), Route("/ja/calls/{id}", single)])


def serve_peer() -> None:
    config = uvicorn.Config(
        "portal_pages:peer", factory=True, port=0, workers=WORKERS, log_config=None, access_log=False
    )
    listener = config.bind_socket()
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    Multiprocess(config, sockets=[listener]).run()


if __name__ == "__main__":
    if sys.argv[1:] == ["--peer"]:
        serve_peer()
    else:
        main()
