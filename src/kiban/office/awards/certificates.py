"""Certificates as one file: every problem of a study with its outcomes, replayed without a database."""

from __future__ import annotations

import json
import uuid
from typing import Any

from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.office.awards.models import Selection
from kiban.office.awards.schemas import Replayed
from kiban.office.awards.solver import AwardProblem, replay
from kiban.office.awards.studies import get_study
from kiban.office.calls.models import Call
from kiban.office.calls.service import get_call
from kiban.office.work import Work

FORMAT = "kiban-award-record/1"


def certificate_file(work: Work, call_id: uuid.UUID, study_id: uuid.UUID) -> dict[str, Any]:
    """What an auditor keeps of a study.

    Raises:
        NotFound: no such study.
        Forbidden: a conflict of interest, or no role that reads studies.
    """
    study = get_study(work, call_id, study_id)
    return file_of(get_call(work, call_id), study)


def file_of(call: Call, study: Selection) -> dict[str, Any]:
    """As `certificate_file`, of a study that was read already."""
    return {
        "format": FORMAT,
        "call": call.code,
        "study": study.number,
        "problem_sha256": study.problem_sha256,
        "problem": study.problem,
        "certificates": study.certificates,
    }


def replay_file(record: dict[str, Any], *, resolve: bool = True) -> list[Replayed]:
    """Check every certificate of a file.

    Args:
        resolve: solve again; otherwise the recorded awards are only verified.

    Raises:
        BadInput: not such a file.
    """
    try:
        if record["format"] != FORMAT:
            raise BadInput(f"not a record of awards: format {record['format']!r}", hint=f"known: {FORMAT}")
        blocs = {
            name: AwardProblem.from_json(json.dumps(problem)) for name, problem in record["problem"]["blocs"].items()
        }
        found = []
        for entry in record["certificates"]:
            inner = {key: value for key, value in entry.items() if key not in ("bloc", "objective")}
            answer = replay(inner, blocs[entry["bloc"]], resolve=resolve)
            found.append(
                Replayed(
                    bloc=entry["bloc"],
                    objective=entry["objective"],
                    outcome=answer.outcome,
                    ok=answer.ok,
                    text=answer.text,
                    inputs_sha256=inner["inputs_sha256"],
                )
            )
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise BadInput(f"not a record of awards: {type(error).__name__} {str(error).splitlines()[0]}") from None
    if not found:
        raise BadInput("the file holds no certificate")
    return found
