"""Writing a call: until it is published, operators replace it as a whole."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from kiban.kit.config import load_model
from kiban.office.audit.service import record
from kiban.office.calls import repository
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import CallFile, CallIn, PoolOffer
from kiban.office.calls.service import lock_call
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.supply import service as supply
from kiban.office.work import Role, Work


def create_call(work: Work, given: CallIn) -> Call:
    """Begin a draft. What it lacks for publication is told by `lifecycle.problems_of`.

    Raises:
        NotFound: a pool that does not exist.
        Invalid: a pool twice.
        Conflict: another call has this code, in capital or small letters.
    """
    work.require(Role.OPERATOR)
    offered = _offered(work, given)
    _check_code(work, given.code)
    call = Call(
        id=work.new_id(),
        status=CallStatus.DRAFT,
        version=1,
        receipts=0,
        withdrawn=0,
        created_by=work.actor.person_id,
        created_at=work.now,
        published_at=None,
        closed_at=None,
        decided_at=None,
        **_columns(given),
    )
    repository.add(work.session, call, offered)
    record(work, "calls.created", "call", call.id, code=call.code)
    return call


def update_call(work: Work, call_id: uuid.UUID, given: CallIn, version: int) -> Call:
    """Replace a draft by what it shall be.

    Args:
        version: of the draft that the change was made from.

    Raises:
        NotFound: no such call or pool.
        Invalid: a pool twice.
        Conflict: it is published, another person changed it since, or another call has this code.
    """
    call = lock_call(work, call_id)
    work.require(Role.OPERATOR, call_id=call_id)
    if call.status is not CallStatus.DRAFT:
        raise Conflict("the call is published", hint="amend it: dates to later ones, texts")
    if call.version != version:
        raise Conflict(f"the draft was changed since (now version {call.version})", where="version",
                       hint="read it again and redo your change")  # fmt: skip
    offered = _offered(work, given)
    _check_code(work, given.code, but=call.id)
    for key, value in _columns(given).items():
        setattr(call, key, value)
    call.version += 1
    repository.flush(work.session)
    repository.replace_offers(work.session, call.id, offered)
    record(work, "calls.updated", "call", call.id, version=call.version)
    return call


def read_call(work: Work, path: Path) -> CallIn:
    """A call from its YAML file, in which pools go by their names.

    Raises:
        BadInput: unreadable, a wrong key or value; file and line are named.
        NotFound: an unknown pool; file, line and the nearest names are given.
    """
    given, origins = load_model(path, CallFile)
    offers = [
        PoolOffer(
            pool_id=supply.find_pool(work, offer.pool, where=origins.of(("pools", n, "pool"))).id, gpus=offer.gpus
        )
        for n, offer in enumerate(given.pools)
    ]
    return CallIn(
        pools=tuple(offers), **{name: getattr(given, name) for name in CallFile.model_fields if name != "pools"}
    )


def _columns(given: CallIn) -> dict[str, Any]:
    """Values of the columns that an operator writes; parts that are lists and mappings as JSON."""
    plain = given.model_dump(exclude={"pools", "version"})
    parts = given.model_dump(mode="json", include={"themes", "rubric", "tracks", "constraints", "questions"})
    return plain | parts


def _offered(work: Work, given: CallIn) -> dict[uuid.UUID, int]:
    offered = {offer.pool_id: offer.gpus for offer in given.pools}
    if len(offered) < len(given.pools):
        raise Invalid("a pool is offered twice", where="pools")
    known = supply.pools_by_id(work, list(offered))
    for n, offer in enumerate(given.pools):
        if offer.pool_id not in known:
            raise NotFound(supply.NO_POOL, where=f"pools.{n}.pool_id")
    return offered


def _check_code(work: Work, code: str, but: uuid.UUID | None = None) -> None:
    taken = repository.same_account_code(work.session, code, but)
    if taken is not None:
        hint = "capital and small letters are the same in the names of accounts on a cluster" if taken != code else ""
        raise Conflict(f"another call has the code {taken!r}", where="code", hint=hint)
