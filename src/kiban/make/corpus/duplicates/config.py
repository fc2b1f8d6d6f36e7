"""What the recipe says about duplicates and about texts that a corpus must not hold."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel

Share = Annotated[float, Field(gt=0, le=1)]
Prefer = Literal["licence", "trust", "date"]


class PassagesConfig(StrictModel):
    """Passages that several documents have in common, though the documents as a whole differ."""

    min_characters: Annotated[int, Field(ge=40)] = Field(
        200, description="a shorter passage is left in all documents; a quarter of it is the unit that is looked up"
    )
    min_left_characters: Annotated[int, Field(ge=0)] = Field(
        100, description="a document of which less is left after the cuts is dropped as `repeated_passage`"
    )


class BoilerplateConfig(StrictModel):
    """Lines that a source puts on many of its documents: menus, notices, running heads."""

    min_characters: Annotated[int, Field(ge=1)] = Field(
        10, description="shorter lines stay: they are headings and parts of lists"
    )
    min_share: Share = Field(0.1, description="of the source's documents that have the line")
    min_documents: Annotated[int, Field(ge=2)] = Field(20, description="and at least so many")


class DuplicatesConfig(StrictModel):
    """Exact duplicates always go; this is about the rest."""

    near: bool = Field(True, description="whether nearly equal documents count as duplicates")
    threshold: Annotated[float, Field(ge=0.5, le=1)] = Field(
        0.8, description="Jaccard similarity of the shingles from which two documents are duplicates"
    )
    shingle_characters: Annotated[int, Field(ge=2, le=32)] = Field(
        5, description="letters and digits in a row that make one shingle"
    )
    prefer: tuple[Prefer, ...] = Field(
        ("licence", "trust", "date"), description="which of several duplicates stays; between equals the first read"
    )
    against: tuple[str, ...] = Field(
        (), description="finished corpora whose documents are left out of this one: names or folders of artifacts"
    )
    passages: PassagesConfig | None = Field(None, description="cut passages that an earlier document has too")
    boilerplate: BoilerplateConfig | None = Field(None, description="cut lines that many documents of a source have")

    @model_validator(mode="after")
    def _nothing_is_named_twice(self) -> Self:
        for name in ("prefer", "against"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names something twice")
        return self


class ProtectedConfig(StrictModel):
    """Texts by which models are judged: documents that hold them are dropped, or lose them."""

    name: str = Field(min_length=1, description="what the report calls it")
    path: str = Field(min_length=1, description="file or folder of items, relative to the recipe")
    fields: tuple[str, ...] = Field(
        min_length=1, description="columns or keys whose values, joined in this order, are the text of an item"
    )
    characters: Annotated[int, Field(ge=8, le=200)] = Field(
        20, description="letters and digits in a row that a document and an item must share"
    )
    min_share: Share = Field(0.5, description="of an item's letters that a document must hold")
    action: Literal["drop", "cut"] = Field("drop", description="the document goes, or what it shares with the item")
