"""Secrets that must be readable again (TOTP, webhooks), encrypted in the database with a key that is not in it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import tempfile
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from kiban.kit.errors import BadInput, Refused
from kiban.kit.files import fsync

KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretBox:
    """AES-256-GCM (NIST SP 800-38D) with a random nonce.

    Args:
        keys: the first encrypts, all decrypt: put a new one in front to change keys.
    """

    def __init__(self, *keys: bytes) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        self._first = _key_id(keys[0])
        self._signing = [HKDFExpand(SHA256(), KEY_BYTES, b"kiban signatures").derive(key) for key in keys]

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The box of the keys in `path`, one a line in base 64; the file is made at first use, for its owner alone.

        Raises:
            BadInput: no such keys in it, or it cannot be read or made.
            Refused: others than its owner may read it.
        """
        try:
            if not path.exists():
                _create(path)
            if path.stat().st_mode & 0o077:
                raise Refused("others than its owner may read the key", where=str(path), hint=f"chmod 600 {path}")
            lines = path.read_text(encoding="ascii").split()
            keys = [base64.b64decode(line, validate=True) for line in lines]
            return cls(*keys)
        except OSError as error:
            raise BadInput(f"cannot use the key file: {error.strerror}", where=str(path)) from None
        except (ValueError, binascii.Error):
            raise BadInput("expected keys of 32 bytes in base 64, one a line", where=str(path)) from None

    def seal(self, plain: bytes, context: str) -> str:
        """Encrypt.

        Args:
            context: what the secret belongs to, such as "totp:" and the person's id. It must be the same to open, so
                that a secret copied into another row is of no use there.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._keys[self._first].encrypt(nonce, plain, context.encode())
        return f"v1.{self._first}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, context: str) -> bytes:
        """Decrypt.

        Raises:
            Refused: changed, of another context, or of a key that is not in the file.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, text = rest.partition(".")
        if version != "v1" or key_id not in self._keys:
            raise Refused("a stored secret was encrypted with a key that is not here", where=context,
                          hint="put the old key back into the key file, below the new one")  # fmt: skip
        try:
            data = base64.b64decode(text, altchars=b"-_", validate=True)
            return self._keys[key_id].decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise Refused("a stored secret was changed or moved", where=context) from None

    def sign(self, text: str, context: str) -> str:
        """A signature (HMAC-SHA-256, with a key derived by RFC 5869) for what goes out to be shown again here.

        Args:
            context: what the text is, so that a signature of something else is of no use.
        """
        return self._sign(self._signing[0], text, context)

    def is_signed(self, text: str, signature: str, context: str) -> bool:
        """Whether `sign` gave this, with any of the keys."""
        given = signature.encode()
        return any(hmac.compare_digest(self._sign(key, text, context).encode(), given) for key in self._signing)

    @staticmethod
    def _sign(key: bytes, text: str, context: str) -> str:
        made = hmac.digest(key, f"{context}\0{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    def outdated(self, sealed: str) -> bool:
        """Whether it was encrypted with another key than the first: seal it again."""
        return not sealed.startswith(f"v1.{self._first}.")


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"kiban secret box" + key).hexdigest()[:8]


def _create(path: Path) -> None:
    """Whole or not at all; of two processes that do it at once, one wins and both read its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file readable for its owner alone.
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            pass
    finally:
        Path(beside).unlink()
    fsync(path.parent)
