"""The base of what goes in and out of the office."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Unknown keys are errors; JSON's texts become ids, times and enumerations' members; rows are read by attribute."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, from_attributes=True)
