"""The second step of a log-in: time-based codes (RFC 6238) that work once, and recovery codes for a lost device."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Collection
from datetime import datetime

from pyotp import TOTP

STEP_SECONDS = 30
WINDOW_STEPS = 1  # a clock up to 30 s fast or slow, and a code typed as it changes
SECRET_BYTES = 20  # the length of SHA-1's output, as RFC 4226 section 4 recommends

RECOVERY_CODES = 10
# 120 bits: a code that cannot be guessed may be kept as a plain digest (NIST SP 800-63B-4, section 3.1.2: 112 bits).
RECOVERY_CODE_BYTES = 15

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FROM_RFC_4648 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _CROCKFORD)
_MISREAD = str.maketrans("ILO", "110")


def totp_secret(random_bytes: bytes) -> str:
    """The secret that a device and the office share, in base 32.

    Raises:
        ValueError: not 20 bytes.
    """
    if len(random_bytes) != SECRET_BYTES:
        raise ValueError(f"a TOTP secret is made of {SECRET_BYTES} random bytes, not {len(random_bytes)}")
    return base64.b32encode(random_bytes).decode()


def totp_uri(secret: str, *, account: str, issuer: str) -> str:
    """The `otpauth://` address that authenticator apps read as a QR code."""
    return TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def verify_totp(secret: str, code: str, at: datetime, last_step: int | None) -> int | None:
    """Check a six-digit code; each works once (RFC 6238, section 5.2).

    Args:
        at: when it was typed, with its time zone.
        last_step: the step of the last code that was accepted, or None before the first.

    Returns:
        The step to keep as the next `last_step`, before the answer is given and in the same transaction; None if the
        code is wrong, old or used. Every step of the window is compared, whatever was found.

    Raises:
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("the time of a code needs its time zone")
    typed = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", code)).encode("utf-8", "replace")
    now, totp = int(at.timestamp()) // STEP_SECONDS, TOTP(secret, interval=STEP_SECONDS)
    found = None
    for step in range(now - WINDOW_STEPS, now + WINDOW_STEPS + 1):
        right = hmac.compare_digest(totp.generate_otp(step).encode(), typed)
        if right and (last_step is None or step > last_step):
            found = step
    return found


def recovery_codes(random_bytes: bytes) -> list[str]:
    """Ten codes such as 4JX2M9-0QK7TB-…, to be shown once; no letter that is read as a digit (Crockford's base 32).

    Raises:
        ValueError: not 150 bytes.
    """
    if len(random_bytes) != RECOVERY_CODES * RECOVERY_CODE_BYTES:
        raise ValueError(f"recovery codes are made of {RECOVERY_CODES * RECOVERY_CODE_BYTES} random bytes")
    codes = []
    for start in range(0, len(random_bytes), RECOVERY_CODE_BYTES):
        text = base64.b32encode(random_bytes[start : start + RECOVERY_CODE_BYTES]).decode().translate(_FROM_RFC_4648)
        codes.append("-".join(text[i : i + 6] for i in range(0, len(text), 6)))
    return codes


def recovery_digest(code: str) -> str:
    """SHA-256 in hex of a code, however it was typed: small letters, spaces, O for 0, full-width."""
    typed = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", code)).upper().translate(_MISREAD)
    return hashlib.sha256(typed.encode("utf-8", "replace")).hexdigest()


def spend_recovery_code(code: str, digests: Collection[str]) -> list[str] | None:
    """The digests that are left after `code` was used, or None if it is none of them."""
    given = recovery_digest(code)
    left = [digest for digest in digests if not hmac.compare_digest(digest.encode(), given.encode())]
    return left if len(left) < len(digests) else None
