"""`kiban office members`: people, their roles, invitations and tokens."""

from __future__ import annotations

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.office.tables import as_uuid, find_call, find_person, gather, limit_option, print_table, reason_option

ROLES = ("applicant", "reviewer", "panel", "operator", "auditor", "observer")
role_argument = click.argument("role", type=click.Choice(ROLES))


@click.group()
def members() -> None:
    """Invite people, give and take roles, make tokens, shut accounts."""


@members.command("list")
@click.option("--role", type=click.Choice(ROLES))
@click.option("--organisation", metavar="ID")
@limit_option
@as_json_option
def list_(role: str | None, organisation: str | None, limit: int, as_json: bool) -> None:
    """List people with their roles."""
    from kiban.office.members import roles, service
    from kiban.office.work import Role

    organisation_id = as_uuid(organisation, "--organisation") if organisation else None
    with opened() as office, office.work(read_only=True) as work:
        wanted = Role(role) if role else None
        people = gather(lambda page: service.people(work, page, organisation_id=organisation_id, role=wanted), limit)
        held: dict[object, list[str]] = {}
        for grant in gather(lambda page: roles.listed(work, page), 1_000_000):
            held.setdefault(grant.person_id, []).append(
                f"{grant.role} (one call)" if grant.call_id else str(grant.role)
            )
    rows = [
        {
            "id": str(row.id),
            "email": row.email,
            "name": row.name,
            "roles": sorted(held.get(row.id, [])),
            "organisation_id": str(row.organisation_id) if row.organisation_id else None,
            "disabled": row.disabled_at is not None,
        }
        for row in people
    ]
    columns = {"email": "address", "name": "name", "roles": "roles", "disabled": "disabled"}
    print_table(as_json, "people", columns, rows)


@members.command()
@click.argument("email")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, help="As often as needed.")
@click.option("--organisation", metavar="ID", help="That the person joins.")
@click.option("--call", help="Code or id of the one call that the roles are for.")
@click.option("--language", type=click.Choice(["ja", "en"]), default="ja", show_default=True)
@as_json_option
def invite(
    email: str, roles: tuple[str, ...], organisation: str | None, call: str | None, language: str, as_json: bool
) -> None:
    """Send EMAIL an invitation; without --role as an applicant. Only the mail holds the link."""
    from kiban.office.members import invitations
    from kiban.office.members.schemas import InvitationIn

    with opened() as office, office.work() as work:
        given = InvitationIn.model_validate(
            {
                "email": email,
                "roles": list(roles) or ["applicant"],
                "organisation_id": as_uuid(organisation, "--organisation") if organisation else None,
                "call_id": find_call(work, call).id if call else None,
                "language": language,
            }
        )
        row = invitations.invite(work, given)
    value = {"id": str(row.id), "email": row.email, "roles": row.roles, "expires_at": row.expires_at.isoformat()}
    print_result(as_json, value, f"{row.email} is invited as {', '.join(row.roles)}, until {value['expires_at']}")


@members.command()
@click.argument("person")
@role_argument
@click.option("--call", help="Code or id: in this call only.")
@as_json_option
def grant(person: str, role: str, call: str | None, as_json: bool) -> None:
    """Give PERSON (address or id) a role."""
    from kiban.office.members import roles
    from kiban.office.work import Role

    with opened() as office, office.work() as work:
        who = find_person(work, person)
        row = roles.grant(work, who.id, Role(role), find_call(work, call).id if call else None)
    value = {
        "id": str(row.id),
        "person_id": str(who.id),
        "role": role,
        "call_id": str(row.call_id) if row.call_id else None,
    }
    print_result(as_json, value, f"{who.email} is {role}")


@members.command()
@click.argument("person")
@role_argument
@click.option("--call", help="Code or id: the role in this call.")
@as_json_option
def revoke(person: str, role: str, call: str | None, as_json: bool) -> None:
    """Take a role from PERSON (address or id)."""
    from kiban.kit.errors import BadInput
    from kiban.office.members import roles
    from kiban.office.work import Role

    with opened() as office, office.work() as work:
        who = find_person(work, person)
        call_id = find_call(work, call).id if call else None
        held = gather(lambda page: roles.listed(work, page, person_id=who.id, role=Role(role)), 1000)
        found = next((each for each in held if each.call_id == call_id), None)
        if found is None:
            raise BadInput(f"{who.email} is no {role}{' of this call' if call else ''}", where="ROLE")
        roles.revoke(work, found.id)
    value = {"id": str(found.id), "person_id": str(who.id), "role": role}
    print_result(as_json, value, f"{who.email} is {role} no more")


@members.command()
@click.argument("person")
@reason_option
@as_json_option
def disable(person: str, reason: str, as_json: bool) -> None:
    """Shut the account of PERSON (address or id): sessions and tokens end at once."""
    from kiban.office.members import service

    with opened() as office, office.work() as work:
        row = service.disable(work, find_person(work, person).id, reason)
    print_result(as_json, {"person_id": str(row.id), "email": row.email}, f"{row.email} is disabled")


@members.command()
@click.argument("person")
@click.option("--name", required=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, required=True, help="<module>:read or :write; as often as needed.")
@click.option("--days", type=click.IntRange(1, 365), default=90, show_default=True)
@as_json_option
def token(person: str, name: str, scopes: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make an API token for PERSON (address or id). It is printed this once."""
    from kiban.office.members import tokens
    from kiban.office.members.schemas import TokenIn

    with opened() as office, office.work() as work:
        given = TokenIn(name=name, scopes=list(scopes), expires_in_days=days)
        row, text = tokens.create(work, given, person_id=find_person(work, person).id)
    value = {"id": str(row.id), "token": text, "scopes": row.scopes, "expires_at": row.expires_at.isoformat()}
    print_result(as_json, value, text)
