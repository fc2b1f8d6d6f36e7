"""What a config.json says, under transformers' standard names, with a family's own names and defaults filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kiban.kit.errors import BadInput

# Without these a file describes no model, whatever defaults its family has.
REQUIRED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


@dataclass(frozen=True)
class Keys:
    """Typed access to one config.

    Attributes:
        config: the file's content.
        defaults: of the family, for keys that the file does not have.
        names: what the family calls standard keys, the first that a file has counting; a dot leads into a nested
            mapping. A key that is not here has its standard name, and one that is here has no other: Falcon ignores
            an `intermediate_size`.
        where: the file, for messages.
        may_omit: a nested text_config leaves out whatever equals its family's default, even a hidden size.
    """

    config: Mapping[str, Any]
    defaults: Mapping[str, Any]
    names: Mapping[str, tuple[str, ...]]
    where: str
    may_omit: bool = False

    def aliases(self, name: str) -> tuple[str, ...]:
        return self.names.get(name, (name,))

    def given(self, name: str) -> Any:
        """The file's value, None where it has none; the family's default is not consulted."""
        for alias in self.aliases(name):
            value: Any = self.config
            for part in alias.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                return value
        return None

    def has(self, name: str) -> bool:
        """Whether the file has the key, be it null; transformers lets null override a default."""
        return any(alias in self.config for alias in self.aliases(name))

    def value(self, name: str) -> Any:
        if (value := self.given(name)) is not None:
            return value
        if name in REQUIRED and not self.may_omit:
            raise BadInput(f"{self.aliases(name)[0]!r} is missing", where=self.where)
        return None if self.has(name) else self.defaults.get(name)

    def whole(self, name: str) -> int | None:
        """A whole number >= 0, or None where neither the file nor the family gives one.

        Raises:
            BadInput: it is something else; a list is a structure whose layers differ.
        """
        value = self.value(name)
        if isinstance(value, list | tuple):
            raise self.refusal(f"{self.aliases(name)[0]!r} differs from layer to layer")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise BadInput(f"{self.aliases(name)[0]!r} is {value!r}, not a whole number", where=self.where)
        return value

    def size(self, name: str) -> int:
        """As `whole`, but required and positive."""
        value = self.whole(name)
        if value is None:
            raise BadInput(f"{self.aliases(name)[0]!r} is missing", where=self.where)
        if not value:
            raise BadInput(f"{self.aliases(name)[0]!r} is 0", where=self.where)
        return value

    def flag(self, name: str) -> bool:
        value = self.value(name)
        if value is not None and not isinstance(value, bool):
            raise BadInput(f"{self.aliases(name)[0]!r} is {value!r}, not true or false", where=self.where)
        return bool(value)

    def kinds(self, name: str, known: Iterable[str]) -> list[str] | None:
        """One word per layer, such as `layer_types`; None where the file has none.

        Raises:
            BadInput: another number of words than layers, or a kind of layer that is not known.
        """
        value = self.given(name)
        if value is None:
            return None
        layers = self.size("num_hidden_layers")
        if not isinstance(value, list) or len(value) != layers:
            raise BadInput(f"{name!r} should name a kind for each of the {layers} layers", where=self.where)
        if unknown := sorted({str(kind) for kind in value} - set(known)):
            raise self.refusal(f"{name!r} has {', '.join(unknown)}")
        return value

    def refusal(self, what: str) -> BadInput:
        """For a structure that ModelShape cannot express; to ignore it would be to count wrongly."""
        family = self.config.get("model_type")
        return BadInput(
            f"{what}: a structure that kiban plan does not count", where=self.where, hint=f"model_type {family!r}"
        )
