"""From findings to edits: masked, replaced by pseudonyms, reported, or the document dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kiban.kit.errors import BadInput
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.privacy.config import Action, Kind, PrivacyConfig
from kiban.make.corpus.privacy.finding import Finding
from kiban.make.corpus.privacy.placeholders import keyed_hash, mask, pseudonym

KEY_BYTES = 16
SPECIAL_CARE = "special_care"


class Audit(NamedTuple):
    """That something was found and what was done, without what it was.

    Attributes:
        start, end: in characters of the text before the edits.
        keyed_hash: hexadecimal HMAC-SHA256 of the value, so that who holds the key can look for one; None without key.
    """

    kind: Kind
    rule: str
    start: int
    end: int
    action: Action
    keyed_hash: str | None


@dataclass(frozen=True, slots=True)
class Acted:
    """What to do with one text.

    Attributes:
        edits: in order, not overlapping; empty where the document is dropped.
        drop: the kind for which the document is dropped, or "special_care"; None if it stays.
        counts: findings by kind and action ("email.mask": 3), and of special care ("special_care.medical_history": 1).
    """

    edits: tuple[Edit, ...]
    drop: str | None
    counts: dict[str, int]
    audit: tuple[Audit, ...]


def read_key(config: PrivacyConfig, base_folder: Path) -> bytes | None:
    """The secret for pseudonyms; None if the configuration names none.

    Raises:
        BadInput: the file cannot be read, or holds fewer than 16 bytes.
    """
    if config.pseudonym_key is None:
        return None
    path = base_folder / config.pseudonym_key
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise BadInput(f"cannot read the key: {error.strerror}", where=str(path)) from None
    if len(key) < KEY_BYTES:
        raise BadInput(
            f"the key has {len(key)} bytes; at least {KEY_BYTES} are needed",
            where=str(path),
            hint="openssl rand -hex 32",
        )
    return key


def act(text: str, findings: Sequence[Finding], config: PrivacyConfig, key: bytes | None = None) -> Acted:
    """What `config` wants done with `findings` of `text`, which are in order and do not overlap.

    Args:
        key: from `read_key`; needed where an action is `pseudonym`.

    Raises:
        ValueError: an action is `pseudonym`, and there is no key.
    """
    edits: list[Edit] = []
    drop: str | None = None
    counts: Counter[str] = Counter()
    audit: list[Audit] = []
    for one in findings:
        action = config.actions[one.kind]
        if action == "ignore":
            continue
        value = text[one.start : one.end]
        counts[f"{one.kind}.{action}"] += 1
        counts.update(f"{SPECIAL_CARE}.{category}" for category in one.special_care)
        hashed = keyed_hash(one.kind, value, key).hex() if key else None
        audit.append(Audit(one.kind, one.rule, one.start, one.end, action, hashed))
        if action == "drop":
            drop = drop or one.kind
        elif action == "mask":
            edits.append(Edit(one.start, one.end, mask(one.kind)))
        elif action == "pseudonym":
            if key is None:
                raise ValueError("the action is pseudonym, and there is no key")
            edits.append(Edit(one.start, one.end, pseudonym(one.kind, value, key)))
        if one.special_care and config.special_care == "drop":
            drop = drop or SPECIAL_CARE
    return Acted(() if drop else tuple(edits), drop, dict(sorted(counts.items())), tuple(audit))
