"""Errors a person can act on: what was wrong, where, what to do."""


class KibanError(Exception):
    """Something kiban says in one line instead of a traceback.

    `where` names the file and line, option or field; `hint` says what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.where}: {self.message}" if self.where else self.message
        return f"{line} ({self.hint})" if self.hint else line


class BadInput(KibanError):
    """The input cannot be used as it is (exit 2)."""

    exit_code = 2


class Refused(KibanError):
    """The input is well formed but not allowed: rights, budget, safety (exit 3)."""

    exit_code = 3


class Interrupted(KibanError):
    """Stopped by a person or the system before it was done; running it again goes on (exit 130)."""

    exit_code = 130
