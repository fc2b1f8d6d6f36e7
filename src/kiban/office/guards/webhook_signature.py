"""How a webhook's receiver knows that it is from this office, and not an old one sent again.

Each delivery has three headers, as in the Standard Webhooks specification (2023):

    webhook-id          the delivery's id, the same each time it is tried: process each once
    webhook-timestamp   seconds since 1970 of this try
    webhook-signature   one or more of "v1," + base64(HMAC-SHA256(secret, id + "." + timestamp + "." + body))

A receiver computes the last from the bytes it got, compares in constant time, and refuses a timestamp more than five
minutes away from its own clock. `verify` does just that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

TOLERANCE_SECONDS = 300
SECRET_BYTES = 32
_PREFIX = "whsec_"


def new_secret(random_bytes: bytes) -> str:
    """A secret as its receiver configures it.

    Raises:
        ValueError: not 32 bytes.
    """
    if len(random_bytes) != SECRET_BYTES:
        raise ValueError(f"a webhook secret is made of {SECRET_BYTES} random bytes, not {len(random_bytes)}")
    return _PREFIX + base64.b64encode(random_bytes).decode()


def signature_headers(secret: str, *, delivery_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one try.

    Raises:
        ValueError: `secret` is none of `new_secret`, the id has other characters than printable ASCII without a full
            stop, or `at` has no time zone.
    """
    if not delivery_id.isascii() or not delivery_id.isprintable() or "." in delivery_id or not delivery_id:
        raise ValueError("a delivery's id is printable ASCII without a full stop")
    if at.tzinfo is None:
        raise ValueError("the time of a delivery needs its time zone")
    timestamp = str(int(at.timestamp()))
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": _sign(secret, delivery_id, timestamp, body),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> bool:
    """Whether `body` came with these headers from one who knows `secret`, within five minutes of `now`."""
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(int(timestamp) - now.timestamp()) > TOLERANCE_SECONDS:
        return False
    expected = _sign(secret, given.get("webhook-id", ""), timestamp, body).encode()
    signatures = given.get("webhook-signature", "").encode("utf-8", "replace").split()
    return any(hmac.compare_digest(expected, signature) for signature in signatures)


def _sign(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not a webhook secret") from None
    if not secret.startswith(_PREFIX) or not key:
        raise ValueError("not a webhook secret")
    signed = delivery_id.encode("utf-8", "replace") + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
