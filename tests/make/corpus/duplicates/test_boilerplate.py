from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus.duplicates import boilerplate
from kiban.make.corpus.duplicates.boilerplate import counted, frequent, lines, summed
from kiban.make.corpus.duplicates.config import BoilerplateConfig
from kiban.make.corpus.letters import letters


@settings(max_examples=200, deadline=None)
@given(st.text("あa \t\u3000\n", max_size=40), st.integers(1, 5))
def test_lines_are_those_of_the_text(text: str, minimum: int) -> None:
    codes = letters([text]).codes
    found, plain = (form(codes, minimum) for form in (boilerplate._lines.compiled, boilerplate._lines.fallback))
    assert [part.tolist() for part in found] == [part.tolist() for part in plain]
    expected = [line.strip(" \t\u3000") for line in text.split("\n")]
    expected = [line for line in expected if len(line) >= minimum]
    hashes, starts, ends = found
    assert [text[start:end].strip() for start, end in zip(starts, ends, strict=True)] == expected
    names: dict[int, str] = {}
    for value, line in zip(hashes.tolist(), expected, strict=True):
        assert names.setdefault(value, line) == line
    assert len(names) == len(set(expected))


def test_lines_of_a_share_of_a_sources_documents() -> None:
    documents = [("共通のメニューです\n本文" + str(number), 0) for number in range(30)]
    documents += [("珍しい行がここにある\n別の本文\n珍しい行がここにある", 1)] * 3 + [("何もない文書である", 1)] * 37
    config = BoilerplateConfig(min_characters=5, min_share=0.1, min_documents=3)
    hashes = [lines(letters([text]).codes, 5)[0] for text, _ in documents]
    sources = [source for _, source in documents]
    half = 17
    parts = [counted(hashes[:half], sources[:half]), counted(hashes[half:], sources[half:])]
    records = summed(np.concatenate(parts))
    assert (records == counted(hashes, sources)).all()
    found = {(int(one["source"]), int(one["documents"])) for one in frequent(records, {0: 30, 1: 40}, config)}
    assert found == {(0, 30), (1, 37)}
    looser = config.model_copy(update={"min_share": 0.075})
    assert (1, 3) in {(int(one["source"]), int(one["documents"])) for one in frequent(records, {0: 30, 1: 40}, looser)}
    assert not len(summed(records[:0]))
