"""The settings of `repair`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kiban.kit.config import StrictModel


class RepairConfig(StrictModel):
    """What is mended in a text before it is judged."""

    mojibake: bool = Field(True, description="read text again that was decoded in a wrong encoding")
    line_breaks: bool = Field(True, description="join lines that were cut at a fixed width, as in mail")
    min_wrap_columns: Annotated[int, Field(ge=20, le=400)] = Field(
        40, description="texts cut at a smaller width are left as they are; kanji and kana take two columns"
    )
    punctuation: Literal["majority", "keep"] = Field(
        "majority", description="make a document's few `,` and `.` between Japanese `、` and `。`, or the reverse"
    )
    variants: Literal["keep", "unify"] = Field(
        "keep", description="old and variant forms of kanji become today's (國 → 国, 髙 → 高): changes names"
    )
