"""Columns against what pyarrow itself makes of the same values."""

import datetime as dt
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.make.corpus.columns import batch, column, integers
from kiban.make.corpus.curating import AUDIT, DROPPED, KEPT
from kiban.make.corpus.delivering import SAID
from kiban.make.corpus.edits import Anchor
from kiban.make.corpus.gathering import SCHEMA as RAW
from kiban.make.corpus.reader import ANCHORS
from kiban.make.corpus.rights.ledger import SCHEMA as LEDGER

pa.array([], pa.string())  # the first call imports pandas, which hypothesis would take for a slow test
TEXTS = st.text(st.characters(codec="utf-8"), max_size=9)
VALUES = {
    pa.string(): TEXTS,
    pa.large_string(): TEXTS,
    pa.binary(32): st.binary(min_size=32, max_size=32),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.date32(): st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)),
    pa.list_(pa.string()): st.lists(TEXTS, max_size=4),
    ANCHORS: st.lists(st.tuples(st.integers(0, 2**60), TEXTS), max_size=4),
}


@pytest.mark.parametrize("kind", VALUES, ids=str)
@given(data=st.data())
def test_a_column_is_what_pyarrow_makes(kind: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=20))
    expected = pa.array(values, kind)
    made = column(values, kind)
    made.validate(full=True)
    assert made.equals(expected)
    assert made.null_count == expected.null_count


def test_every_column_that_the_stage_writes_is_of_a_kind_that_is_tested() -> None:
    schemas = (RAW, KEPT, DROPPED, AUDIT, SAID, LEDGER)
    assert {field.type for schema in schemas for field in schema} <= set(VALUES)


def test_anchors_are_structs_of_their_fields() -> None:
    made = column([(Anchor(3, "page 2"), Anchor(9, "page 3")), ()], ANCHORS)
    assert made.to_pylist() == [[{"at": 3, "label": "page 2"}, {"at": 9, "label": "page 3"}], []]


@given(st.lists(st.integers(0, 2**32 - 1)), st.integers(0, 3))
def test_arrays_there_and_back_in_any_slice(values: list[int], start: int) -> None:
    made = column(np.array(values, np.int64), pa.uint32())
    made.validate(full=True)
    assert integers(pa.chunked_array([made, made.slice(start)])).tolist() == values + values[start:]


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        batch({"id": ["\ud800"]}, pa.schema([("id", pa.string())]))


def test_pandas_is_not_imported() -> None:
    code = """
import sys
import pyarrow as pa
from kiban.make.corpus.columns import column, integers
column(["a", None], pa.string())
integers(pa.chunked_array([column([1, 2], pa.int64())]))
column([["x"]], pa.list_(pa.string()))
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
