"""What a page says after something was done, and how that is taken back.

Both are named in the address, so that nothing has to be remembered for them. What takes an act back is another act with
the fields of its form. It is sealed with the session's token: nobody else can make an address whose page offers a
button that does something.
"""

from __future__ import annotations

import hmac
import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from kiban.portal.i18n import Text, _, in_language
from kiban.portal.web import page as pages

_NOTICES: dict[str, Text] = {}
LONGEST = 4000  # characters of an address that are for this; servers before ours take 8 KB of lines
MOST_BYTES = 100_000


def register(area: str, notices: dict[str, Text]) -> None:
    """Add an area's notices: `register("calls", {"published": _("The call is published.")})` is `calls.published`."""
    for name, text in notices.items():
        _NOTICES[f"{area}.{name}"] = text


def notice_text(name: str) -> Text | None:
    """None for a name that nobody registered: addresses are typed by anybody."""
    return _NOTICES.get(name)


@dataclass(frozen=True)
class Undo:
    """The act that takes back what was just done.

    Attributes:
        route: its name.
        values: of its path.
        fields: what its form holds.
    """

    route: str
    values: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    def sealed(self, csrf_token: str) -> str | None:
        """For an address of this session; None: too long for one, so that there is no button."""
        told = json.dumps([self.route, dict(self.values), dict(self.fields)], ensure_ascii=False).encode()
        packed = urlsafe_b64encode(zlib.compress(told)).decode()
        text = f"{packed}.{_seal(packed, csrf_token)}"
        return text if len(text) <= LONGEST else None


def undo(route: str, /, *, fields: Mapping[str, object] | None = None, **values: object) -> Undo:
    """`undo("grants.add_user", grant_id=…, fields={"user_name": …})`. Fields that are None are left out."""
    given = {name: str(value) for name, value in (fields or {}).items() if value is not None}
    return Undo(route, {name: str(value) for name, value in values.items()}, given)


def offered(text: str, csrf_token: str) -> Undo | None:
    """What `Undo.sealed` sealed for this session; None for anything else."""
    packed, _dot, seal = text.partition(".")
    if not csrf_token or not hmac.compare_digest(seal.encode(), _seal(packed, csrf_token).encode()):
        return None
    route, values, fields = json.loads(zlib.decompressobj().decompress(urlsafe_b64decode(packed), MOST_BYTES))
    return Undo(route, values, fields)


def at_once() -> str:
    """The reason of taking something back, where one is kept."""
    return in_language(_("Undone at once"), pages.current().language)


def _seal(packed: str, csrf_token: str) -> str:
    return hmac.digest(csrf_token.encode(), b"undo " + packed.encode(), "sha256").hex()[:32]
