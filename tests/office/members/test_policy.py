from __future__ import annotations

from kiban.office.guards.passwords import PasswordHashing
from kiban.office.members import passwords, policy
from kiban.office.settings import Settings
from kiban.office.work import Role

_REAL_HASHING = passwords.hashing.__globals__["_hashing"]


def test_scopes_are_those_of_every_module() -> None:
    assert len(policy.SCOPES) == 24
    assert {"members:read", "audit:write"} <= policy.SCOPES


def test_only_roles_over_others_take_a_second_factor() -> None:
    waiting = {role for role in Role if not policy.in_force(role, is_strong=False)}
    assert waiting == {Role.OPERATOR, Role.PANEL, Role.AUDITOR}
    assert all(policy.in_force(role, is_strong=True) for role in Role)


def test_passwords_are_kept_at_the_cost_that_the_settings_name() -> None:
    """RFC 9106, section 4, second choice: three passes over 64 MiB."""
    hashing = _REAL_HASHING(Settings().password_cost)
    assert isinstance(hashing, PasswordHashing)
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in hashing.hash("x")
    assert _REAL_HASHING(Settings().password_cost) is hashing  # one for the process bounds what runs at once
