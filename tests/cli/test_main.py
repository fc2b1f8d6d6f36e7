"""The command line as a shell sees it: start-up, exit statuses, what goes where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def kiban(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kiban", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_lists_every_command_and_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, kiban.cli\n"
        "try: kiban.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'pydantic', 'pyarrow', 'numpy', 'rich', 'starlette'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "HEAVY []" in done.stdout
    for command in ("plan", "make", "recipe", "show", "lineage", "diff", "verify", "gc", "serve", "chat"):
        assert f"  {command} " in done.stdout


def test_every_listed_command_exists(tmp_path: Path) -> None:
    from kiban.cli import COMMANDS

    for command in COMMANDS:
        done = kiban(command, "--help", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), command


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["make", "absent.yaml"], 2, "absent.yaml: cannot read it"),
        (["recipe", "check", "wrong.yaml"], 2, "wrong.yaml:1: unknown key 'nam'"),
        (["make", "refused.yaml"], 3, "source 'manuals' is not cleared for training"),
        (["make", "allowed.yaml", "--budget-kwh", "0.000000001"], 3, "more than the budget"),
        (["make", "allowed.yaml", "--budget-yen", "15 apples"], 2, "--budget-yen: '15 apples' is not understood"),
        (["plan", "absent.yaml"], 2, "absent.yaml: there is no such file"),
        (["plan", "actual", "nothing"], 2, "no artifact 'nothing'"),
        (["make"], 2, "Missing argument"),
        (["maek"], 2, "No such command 'maek'"),
        (["show", "nothing"], 2, "no artifact 'nothing'"),
    ],
)
def test_bad_input_is_a_line_on_stderr_and_its_own_status(
    tmp_path: Path, arguments: list[str], status: int, says: str
) -> None:
    (tmp_path / "wrong.yaml").write_text("nam: x\n")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("点検手順")
    (tmp_path / "refused.yaml").write_text(
        "name: x\ncorpus:\n  sources:\n"
        "    - {name: manuals, path: documents, owner: o, licence: l, uses: [rag]}\n"
        "model: {shape: {depth: 2}}\ntraining: {tokens: 10}\n"
    )
    refused = (tmp_path / "refused.yaml").read_text()
    (tmp_path / "allowed.yaml").write_text(refused.replace("uses: [rag]", "uses: [train]"))
    done = kiban(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_init_writes_a_recipe_that_checks_and_keeps_an_existing_one(tmp_path: Path) -> None:
    folder = tmp_path / '現場の"記録" #1'
    folder.mkdir()
    (folder / "a.txt").write_text("ポンプの点検手順を定める。" * 100, encoding="utf-8")
    given = ("recipe", "init", str(folder), "--owner", "潮見ヶ丘: 技術部", "--licence", "proprietary")
    assert kiban(*given, "--json", cwd=tmp_path).returncode == 0
    checked = kiban("recipe", "check", "recipe.yaml", "--json", cwd=tmp_path)
    recipe = json.loads(checked.stdout)
    assert recipe["corpus"]["sources"][0]["owner"] == "潮見ヶ丘: 技術部"
    assert recipe["corpus"]["sources"][0]["path"] == folder.name
    assert recipe["model"]["shape"]["depth"] == 4
    assert json.loads((tmp_path / "recipe.schema.json").read_text())["title"] == "kiban recipe"
    again = kiban(*given, cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    based = kiban(*given, "--base", "./base.gguf", "--base-licence", "Gemma", "--force", cwd=tmp_path)
    assert based.returncode == 0
    assert json.loads(kiban("recipe", "check", "recipe.yaml", "--json", cwd=tmp_path).stdout)["tokenizer"] is None


def test_init_on_an_empty_folder_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = kiban("recipe", "init", "empty", "--owner", "o", "--licence", "l", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no document in" in done.stderr
    assert not (tmp_path / "recipe.yaml").exists()


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m kiban recipe schema | head -1", shell=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr
