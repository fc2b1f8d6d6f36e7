from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from kiban.kit.config import StrictModel, blamed, load_model
from kiban.kit.errors import BadInput


class Inner(StrictModel):
    learning_rate: float = 0.1
    steps: int = Field(1, gt=0)


class Outer(StrictModel):
    name: str
    inner: Inner = Inner()
    items: tuple[Inner, ...] = ()
    choice: Inner | None = None


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problem(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(BadInput) as caught:
        load_model(write(folder, text), Outer, overrides)
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(str(folder), "DIR")


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("name: a\ninner:\n  learning_rat: 0.2\n", "DIR/config.yaml:3", "did you mean 'learning_rate'?"),
        ("name: a\nchoice:\n  step: 2\n", "DIR/config.yaml:3", "did you mean 'steps'?"),
        ("name: a\nitems:\n  - steps: 1\n  - stps: 2\n", "DIR/config.yaml:4", "did you mean 'steps'?"),
        ("name: a\nzzz: 1\n", "DIR/config.yaml:2", "known keys here: choice, inner, items, name"),
        ("name: a\ninner:\n  steps: 0\n", "DIR/config.yaml:3", "greater than 0"),
        ("name: a\ninner:\n  steps: '3'\n", "DIR/config.yaml:3", "inner.steps"),
        ("name: 3\n", "DIR/config.yaml:1", "string"),
        ("inner: {}\n", "DIR/config.yaml", "'name' is missing"),
        ("name: a\nname: b\n", "DIR/config.yaml:2", "duplicate key"),
        ("name: [a\n", "DIR/config.yaml:", "not valid YAML"),
        ("- a\n", "DIR/config.yaml:1", "expected a mapping"),
        ("name: ${KIBAN_TEST_UNSET}\n", "DIR/config.yaml:1", "KIBAN_TEST_UNSET is not set"),
    ],
)
def test_a_wrong_file_names_the_line_and_the_remedy(tmp_path: Path, text: str, where: str, says: str) -> None:
    line = problem(tmp_path, text)
    assert line.startswith(where)
    assert says in line


def test_the_first_problem_in_file_order_is_told_and_the_rest_counted(tmp_path: Path) -> None:
    line = problem(tmp_path, "name: a\ninner:\n  steps: -1\n  learning_rate: x\n")
    assert line.startswith("DIR/config.yaml:3")
    assert "and 1 more" in line


def test_overrides_are_typed_like_yaml_and_blamed_when_wrong(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\nitems:\n  - steps: 1\n")
    model, _ = load_model(path, Outer, ("inner.steps=7", "items.0.learning_rate=1e-3", "choice.steps=2"))
    assert (model.inner.steps, model.items[0].learning_rate) == (7, 1e-3)
    assert model.choice is not None
    assert problem(tmp_path, "name: a\n", ("inner.stps=7",)).startswith("--set inner.stps=7")
    assert "there is no item 0" in problem(tmp_path, "name: a\nitems: []\n", ("items.0.steps=7",))
    assert "expected key=value" in problem(tmp_path, "name: a\n", ("inner",))


def test_variables_take_the_environment_else_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "name: ${KIBAN_TEST_X:-here}/data\n")
    assert load_model(path, Outer)[0].name == "here/data"
    monkeypatch.setenv("KIBAN_TEST_X", "there")
    assert load_model(path, Outer)[0].name == "there/data"


def test_a_file_that_cannot_be_read_is_a_line_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        load_model(tmp_path / "absent.yaml", Outer)
    (tmp_path / "config.yaml").write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        load_model(tmp_path / "config.yaml", Outer)


def test_aliases_of_aliases_end(tmp_path: Path) -> None:
    tens = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
    assert "more than 100,000 values" in problem(tmp_path, f"a0: &a0 [{', '.join('x' * 10)}]\n{tens}")


def test_nesting_without_end_is_a_line_not_a_traceback(tmp_path: Path) -> None:
    assert problem(tmp_path, "name: " + "[" * 5000) == "DIR/config.yaml: nested too deeply"
    assert problem(tmp_path, "name: " + "[" * 300 + "]" * 300).startswith("DIR/config.yaml")
    assert problem(tmp_path, "name: a\n", ("name=" + "[" * 5000,)).endswith(": nested too deeply")


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
def test_numbers_are_finite(tmp_path: Path, value: str) -> None:
    line = problem(tmp_path, f"name: a\ninner:\n  learning_rate: {value}\n")
    assert line.startswith("DIR/config.yaml:3: inner.learning_rate: ")
    assert "finite" in line


def test_a_variable_in_an_override_is_blamed_on_it(tmp_path: Path) -> None:
    line = problem(tmp_path, "name: a\n", ("name=${KIBAN_TEST_UNSET}",))
    assert line.startswith("--set name=${KIBAN_TEST_UNSET}: the environment variable KIBAN_TEST_UNSET is not set")


def test_what_options_built_is_blamed_on_them() -> None:
    with (
        pytest.raises(BadInput, match=r"^--steps: input should be greater than 0, not -1$"),
        blamed({"steps": "--steps"}, "x.yaml"),
    ):
        Inner(steps=-1)
    with pytest.raises(BadInput, match=r"^x.yaml: learning_rate: .*finite"), blamed({"steps": "--steps"}, "x.yaml"):
        Inner(learning_rate=float("inf"))
