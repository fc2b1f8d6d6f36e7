"""`kiban plan` as a shell sees it: what is asked, what goes where, and every wrong input with its own line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kiban.cli.plan import plan, print_json
from kiban.kit.errors import KibanError
from kiban.kit.manifest import Resources
from kiban.kit.store import Spec, Store
from kiban.make.planning import read_plan, read_serving_plan
from kiban.plan.planfile import plan_json_schema

PLAN = """\
name: small
model:
  shape:
    hidden_size: 2048
    num_hidden_layers: 16
    vocab_size: 32000
    num_attention_heads: 16
    intermediate_size: 5504
training:
  tokens: 20B
  global_batch_sequences: 256
cluster:
  gpu: H100
  gpus: 8
"""
FIGURES = ("params_total", "params_active", "flops", "layout", "memory_per_gpu_bytes", "mfu", "gpu_hours", "yen",
           "kwh", "kg_co2")  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(plan, [str(each) for each in arguments], obj=Path(".kiban"))


def refused(*arguments: object) -> tuple[int, str]:
    """Exit status and message, as `kiban` prints it."""
    error = run(*arguments).exception
    assert isinstance(error, KibanError), error
    return error.exit_code, str(error)


@pytest.fixture
def plan_path(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN, encoding="utf-8")
    return path


def test_the_700b_plan_holds_every_figure_with_its_sources(repo_root: Path) -> None:
    done = run(repo_root / "plans" / "700b-moe.yaml", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    for figure in FIGURES:
        assert found[figure]["sources"], figure
    for figure in ("gpu_hours", "yen", "kwh", "kg_co2", "mfu"):
        assert found[figure]["low"] < found[figure]["value"] < found[figure]["high"], figure
    assert found["params_total"]["value"] == pytest.approx(700e9, rel=0.02)
    assert found["params_active"]["value"] == pytest.approx(40e9, rel=0.03)


@pytest.mark.parametrize("name", ["llama-3.1-405b", "deepseek-v3", "llm-jp-3-172b", "plamo-100b-like", "1.5b", "8b"])
def test_every_shipped_plan_runs(repo_root: Path, name: str) -> None:
    path = repo_root / "plans" / f"{name}.yaml"
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=plan.schema.json\n")
    done = run(path)
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith(name)
    for line in ("GPU-hours", "cost", "CO2", "MFU", "Memory per GPU", "One step"):
        assert line in done.stdout


def test_the_parameters_of_known_models_are_theirs(repo_root: Path) -> None:
    published = {"llama-3.1-405b": 405_853_388_800, "8b": 8_190_735_360, "1.5b": 1_543_714_304,
                 "deepseek-v3": 671_026_404_352}  # fmt: skip
    for name, count in published.items():
        found = json.loads(run(repo_root / "plans" / f"{name}.yaml", "--json").stdout)
        assert found["params_total"]["value"] == count, name


def test_the_shipped_schema_is_the_current_one(repo_root: Path) -> None:
    shipped = (repo_root / "plans" / "plan.schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == json.loads(plan_json_schema()), "run `kiban plan schema -o plans/plan.schema.json`"
    tokens = json.loads(shipped)["$defs"]["PlanTraining"]["properties"]["tokens"]
    assert {"string", "integer"} <= {each.get("type") for each in tokens["anyOf"]}, "editors accept 15T"


@pytest.mark.parametrize("tokens", ["20000000000", "20B", "200億", "20,000,000,000", "２００億トークン", "20 billion"])
def test_quantities_are_read_as_people_write_them(plan_path: Path, tokens: str) -> None:
    assert json.loads(run(plan_path, "--tokens", tokens, "--json").stdout)["tokens"]["value"] == 20 * 10**9
    changed = run(plan_path, "--set", f"training.tokens={tokens}", "--json")
    assert json.loads(changed.stdout)["tokens"]["value"] == 20 * 10**9


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tokens: 20B", "tokens: 15 apples", r":10: training.tokens: '15 apples' is not understood"),
        ("tokens: 20B", "tokens: -5", ":10: training.tokens: input should be greater than 0"),
        ("tokens: 20B", "tokens: 15000Q", ":10: training.tokens: input should be less than"),
        ("tokens: 20B", "token: 20B", ":10: unknown key 'training.token'; and 1 more (did you mean 'tokens'?)"),
        ("gpus: 8", "gpus: 0", ":14: cluster.gpus: input should be greater than 0"),
        ("gpu: H100", "gpu: H1000", "cluster.gpu: unknown accelerator 'H1000' (nearest: H100"),
        ("num_attention_heads: 16", "num_attention_heads: 17", "hidden_size 2048 is not divisible"),
        ("    intermediate_size: 5504\n", "", "intermediate_size is missing"),
        ("gpu: H100\n", "gpu: H100\nsite: {area: アトランティス}\n", "unknown supply area 'アトランティス'"),
        ("tokens: 20B", "tokens: 20B\n  precision: fp4", "H100 has no fp4"),
        ("hidden_size: 2048", "hidden_size: 65536", "the smallest cluster that works is"),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(plan_path: Path, old: str, new: str, says: str) -> None:
    text = PLAN.replace(old, new)
    if "site" in new:
        text = PLAN + "site: {area: アトランティス}\n"
    if "65536" in new:
        text = text.replace("num_hidden_layers: 16", "num_hidden_layers: 80")
    plan_path.write_text(text, encoding="utf-8")
    status, message = refused(plan_path)
    assert status == 2
    assert says in message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--gpus", "many"], "--gpus: 'many' is not understood"),
        (["--gpus", "-8"], "--gpus: '-8' is not above 0"),
        (["--tokens", "15 apples"], "--tokens: '15 apples' is not understood"),
        (["--tokens", "1.5"], "--tokens: '1.5' is not a whole number"),
        (["--deadline", "90"], "--deadline: '90' is not understood; write for example 90 days"),
        (["--budget-yen", "two"], "--budget-yen"),
        (["--set", "cluster.gpu=Z80"], "unknown accelerator 'Z80'"),
        (["--set", "nothing"], "--set nothing: expected key=value"),
        (["--gpus", "2000000"], "--gpus: cluster.gpus: input should be less than or equal to 1048576"),
        (["--html", ""], "--html: the name of the file is empty"),
        (["--html", "/usr"], "--html: /usr is a folder"),
    ],
)
def test_what_is_wrong_in_an_option_is_named(plan_path: Path, options: list[str], says: str) -> None:
    status, message = refused(plan_path, *options)
    assert status == 2
    assert says in message


def test_the_gpus_and_tokens_of_options_are_bounded_for_configs_recipes_and_best(repo_root: Path) -> None:
    config = repo_root / "tests" / "plan" / "model" / "configs" / "Qwen3-8B.json"
    recipe = repo_root / "recipes" / "demo.yaml"
    for what in ((config, "--tokens", "1T"), (recipe,), ("best", "--budget-yen", "1億")):
        message = refused(*what, "--gpu", "H100", "--gpus", "1048577")[1]
        assert message == "--gpus: input should be less than or equal to 1048576, not 1048577"
        assert refused(*what, "--gpu", "H100", "--gpus", "8", "--tokens", "1e18")[1].startswith("--tokens: input")


def test_the_time_of_an_option_is_kept_to_the_last_digit(plan_path: Path, repo_root: Path) -> None:
    plan, _ = read_plan(plan_path, (), {"deadline": 1e-9})
    assert plan.budget.duration == 1e-9
    serving, _ = read_serving_plan(repo_root / "plans" / "serve-8b.yaml", (), {"ttft": 1 / 3, "tpot": 1e-7})
    assert (serving.serving.ttft, serving.serving.tpot) == (1 / 3, 1e-7)
    load = ("--gpu", "H100", "--rate", "10", "--prompt-tokens", "1,000", "--output-tokens", "300")
    for option, time in (("--ttft", "1e-9 s"), ("--tpot", "0.0001 ms")):
        status, message = refused("serve", repo_root / "plans" / "8b.yaml", *load, option, time)
        assert status == 2
        assert message.startswith(f"{option}: ")
        assert "cannot be met" in message


def test_a_report_never_takes_the_place_of_a_pipe(plan_path: Path) -> None:
    pipe = plan_path.with_name("pipe")
    os.mkfifo(pipe)
    for command in ([plan_path, "--html"], ["schema", "-o"], ["validate", "--fit"]):
        assert "no regular file" in refused(*command, pipe)[1]
    assert "no regular file" in refused("best", "--gpu", "H100", "--budget-yen", "1億", "-o", pipe)[1]
    assert pipe.is_fifo()
    for command in (["schema"], ["best", "--gpu", "H100", "--budget-yen", "1億"]):
        assert refused(*command, "-o", "")[1] == "-o: the name of the file is empty"


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.yaml", ""])
@pytest.mark.parametrize("command", [[], ["serve"], ["validate"], ["actual"]])
def test_what_no_file_can_be_called_is_a_short_line(name: str, command: list[str]) -> None:
    if not name and not command:
        command = ["estimate"]  # click gives a first argument of nothing to the group
    status, message = refused(*command, name)
    assert status == 2
    assert len(message) < 150
    assert "name" in message


def test_nan_is_never_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"yen": float("nan")})
    assert capsys.readouterr().out == ""


def test_usage_errors_name_the_command_that_was_typed(plan_path: Path) -> None:
    done = CliRunner().invoke(plan, [str(plan_path), "--bogus"], prog_name="kiban plan")
    assert done.exit_code == 2
    assert "Usage: kiban plan FILE [OPTIONS]\nTry 'kiban plan --help'" in done.stderr
    assert "estimate" not in done.stderr


def test_the_schema_is_json_with_and_without_asking() -> None:
    assert run("schema", "--json").stdout == run("schema").stdout == plan_json_schema() + "\n"


def test_actual_reads_an_artifacts_folder_where_there_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no store here" in refused("actual", "demo")[1]
    store = Store(tmp_path / "elsewhere")
    unused = Resources(
        wall_s=0.0, cpu_s=0.0, peak_memory_bytes=0, gpu_s=0.0, energy_j=None, energy_source="unknown", energy_method=""
    )
    with store.making(Spec("documents", "corpus", "1", {}, {}), "demo/corpus") as draft:
        (draft.files / "a.txt").write_text("a")
        made = store.commit(draft, resources=unused, parties=(), stats={})
    for folder in (made.path, shutil.copytree(made.path, tmp_path / "copy")):
        message = refused("actual", folder)[1]
        assert "there is no store" not in message
        assert "documents" in message
    assert not (tmp_path / ".kiban").exists(), "looking makes no store"


def test_a_cluster_too_small_says_the_smallest_that_works_and_it_does(plan_path: Path) -> None:
    big = ("--set", "model.shape.num_hidden_layers=60", "--set", "model.shape.intermediate_size=22016")
    status, message = refused(plan_path, *big, "--gpus", "1")
    assert status == 2
    assert "does not fit 1 x H100" in message
    smallest = int(message.split("the smallest cluster that works is ")[1].split(" x")[0].replace(",", ""))
    assert run(plan_path, *big, "--gpus", smallest).exit_code == 0


def test_what_a_budget_does_not_allow_is_shown_and_exits_3(plan_path: Path) -> None:
    for options in (["--budget-yen", "100円"], ["--budget-gpu-hours", "1"], ["--deadline", "1 h"]):
        done = run(plan_path, *options, "--json")
        assert isinstance(done.exception, KibanError)
        assert done.exception.exit_code == 3
        levels = {warning["level"] for warning in json.loads(done.stdout)["warnings"]}
        assert "refuse" in levels, "the plan is printed all the same"
    assert run(plan_path, "--budget-yen", "1兆", "--deadline", "1 year").exit_code == 0


def test_a_missing_file_and_a_mistyped_command_are_told_apart(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent.yaml") == (2, f"{tmp_path / 'absent.yaml'}: there is no such file")
    assert "did you mean `kiban plan validate`?" in refused("validat")[1]


def test_a_transformers_config_needs_the_hardware_and_tokens(repo_root: Path, tmp_path: Path) -> None:
    config = repo_root / "tests" / "plan" / "model" / "configs" / "Qwen3-8B.json"
    assert "--gpu, --gpus, --tokens are missing" in refused(config)[1]
    assert "--tokens is missing" in refused(config, "--gpu", "H100", "--gpus", 64)[1]
    done = run(config, "--gpu", "H100", "--gpus", "64", "--tokens", "1T", "--json")
    assert json.loads(done.stdout)["params_total"]["value"] == 8_190_735_360
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(config.read_text())
    assert run(folder, "--gpu", "H100", "--gpus", "64", "--tokens", "1T").stdout.startswith("my-model\n")
    (folder / "config.json").write_text('{"model_type": "mamba"}')
    status, message = refused(folder, "--gpu", "H100", "--gpus", "64", "--tokens", "1T")
    assert status == 2
    assert "model_type 'mamba'" in message


def test_a_recipe_is_planned_on_this_machine_or_a_cluster(repo_root: Path) -> None:
    demo = repo_root / "recipes" / "demo.yaml"
    here = json.loads(run(demo, "--json").stdout)
    assert here["cluster"]["gpu"].startswith("this-machine")
    assert (here["tokens"]["value"], here["batch"]["sequences"]) == (700_000, 8)
    there = json.loads(run(demo, "--gpu", "RTX 4090", "--gpus", "1", "--json").stdout)
    assert there["cluster"]["gpu"] == "RTX 4090"
    assert there["params_total"] == here["params_total"]


def test_why_and_sources_are_told_when_asked_for(plan_path: Path) -> None:
    plain, why, sources = run(plan_path), run(plan_path, "--why"), run(plan_path, "--sources")
    assert "Why not another layout" not in plain.stdout
    assert "Why not another layout" in why.stdout
    assert "Young (1974)" in sources.stdout
    assert max(len(line) for line in plain.stdout.splitlines()) < 140


def test_gpus_areas_and_help(plan_path: Path) -> None:
    rows: dict[str, Any] = {row["name"]: row for row in json.loads(run("gpus", "--json").stdout)["gpus"]}
    assert rows["H100"]["yen_per_gpu_hour"] > 0
    assert rows["H100"]["sources"]
    assert "RTX 4090" in run("gpus").stdout
    areas = {row["name_en"]: row for row in json.loads(run("areas", "--json").stdout)["areas"]}
    assert areas["Hokkaido"]["kg_co2_per_kwh"] > areas["Kansai"]["kg_co2_per_kwh"]
    assert "沖縄" in run("areas").stdout
    said = run("--help").stdout
    for part in ("FILE [OPTIONS]", "COMMAND [ARGS]", "--deadline", "validate", "measure"):
        assert part in said


def test_validate_prints_each_run_and_fits_when_asked(tmp_path: Path, repo_root: Path) -> None:
    shipped = (repo_root / "src" / "kiban" / "plan" / "data" / "published-runs.csv").read_text(encoding="utf-8")
    few = tmp_path / "runs.csv"
    few.write_text("".join(shipped.splitlines(keepends=True)[:6]), encoding="utf-8")
    found = json.loads(run("validate", few, "--json", "--fit", tmp_path / "fit.json").stdout)
    assert len(found["runs"]) == 5
    for key in ("median_abs_error", "p90_abs_error", "loo_median_abs_error"):
        assert 0 <= found[key] < 1
    assert "5 runs of runs.csv" in json.loads((tmp_path / "fit.json").read_text())["source"]
    assert "Llama-3.1-405B" in run("validate", few).stdout
    few.write_text("model,layers\nx,1\n")
    assert "columns are missing" in refused("validate", few)[1]


def test_best_answers_a_budget_with_a_plan_that_keeps_it(tmp_path: Path) -> None:
    out = tmp_path / "best.yaml"
    found = json.loads(run("best", "--gpu", "H100", "--budget-yen", "1000万", "-o", out, "--json").stdout)
    assert found["tokens"]["value"] > 0
    again = json.loads(run(out, "--json").stdout)
    assert again["yen"]["value"] <= 10_000_000 * 1.001
    assert refused("best", "--gpu", "H100")[0] == 2


def test_a_serving_plan_is_read_and_not_taken_for_a_training(repo_root: Path) -> None:
    path = repo_root / "plans" / "serve-8b.yaml"
    assert json.loads(run("serve", path, "--json").stdout)["gpus"]["value"] >= 1
    assert f"kiban plan serve {path}" in refused(path)[1]


def test_serve_answers_for_a_plans_model_and_says_what_is_missing(repo_root: Path) -> None:
    path = repo_root / "plans" / "8b.yaml"
    load = ("--gpu", "H100", "--rate", "10", "--prompt-tokens", "1,000", "--output-tokens", "300")
    found = json.loads(run("serve", path, *load, "--json").stdout)
    assert found["gpus"]["low"] <= found["gpus"]["value"] <= found["gpus"]["high"]
    more = json.loads(run("serve", path, *load, "--rate", "200", "--json").stdout)
    assert more["gpus"]["value"] > found["gpus"]["value"]
    assert "per million output tokens" in run("serve", path, *load).stdout
    assert "--rate, --prompt-tokens, --output-tokens are missing" in refused("serve", path, "--gpu", "H100")[1]
    assert refused("serve", path, *load, "--tpot", "1 us")[0] == 2
    assert refused("serve", path, *load, "--gpu", "this-machine")[1].startswith("--gpu: of this machine")
    message = refused("serve", repo_root / "recipes" / "demo.yaml")[1]
    assert "it is a recipe; a service is planned from a serving plan (YAML with `serving:`), a training plan" in message
    assert refused("serve", repo_root / "plans" / "serve-8b.yaml", "--rate", "1e30")[1].startswith("--rate: ")
    assert refused("serve", path, *load, "--rate", "1e30")[1].startswith("--rate: ")


def test_a_report_is_written_beside_what_is_printed(plan_path: Path) -> None:
    out = plan_path.with_name("report.html")
    done = run(plan_path, "--html", out, "--json")
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["name"] == "small"
    assert "small" in out.read_text(encoding="utf-8")
    status, message = refused(plan_path, "--html", plan_path.with_name("none") / "report.html")
    assert status == 2
    assert "cannot write it" in message


def test_a_reader_that_stops_early_and_streams_stay_apart(repo_root: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m kiban plan {repo_root}/plans/8b.yaml --sources | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("8b\n", "")
    over = subprocess.run(
        [sys.executable, "-m", "kiban", "plan", f"{repo_root}/plans/8b.yaml", "--budget-yen", "1", "--json"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert over.returncode == 3
    assert json.loads(over.stdout)["name"] == "8b"
    assert over.stderr.startswith("kiban: ")
    assert over.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir()), "planning leaves nothing behind"
