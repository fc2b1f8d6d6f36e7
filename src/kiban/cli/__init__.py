"""The command line: parses, calls, prints. Each command lives in a file of its own, imported when it is used."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

import kiban
from kiban.kit.errors import KibanError

# command -> (module, one line for `kiban --help`)
COMMANDS = {
    "plan": ("kiban.cli.plan", "Say what a model will cost before anyone pays for it."),
    "make": ("kiban.cli.make", "Make a model from a recipe: only what changed is remade."),
    "recipe": ("kiban.cli.recipe", "Start, check and describe recipes."),
    "corpus": ("kiban.cli.corpus", "Look into corpora, and withdraw documents."),
    "show": ("kiban.cli.artifacts", "Show what an artifact is, what it holds and what it cost."),
    "lineage": ("kiban.cli.artifacts", "Show what an artifact was made from."),
    "diff": ("kiban.cli.artifacts", "Show how two artifacts differ."),
    "verify": ("kiban.cli.artifacts", "Check every byte of artifacts against their manifests."),
    "gc": ("kiban.cli.artifacts", "Remove artifacts that nothing refers to."),
    "serve": ("kiban.cli.serve", "Serve a model over HTTP, OpenAI-compatible."),
    "chat": ("kiban.cli.chat", "Chat with a model in the terminal."),
    "portal": ("kiban.cli.portal", "Start the programme's pages on this machine, with a model to talk to."),
    "office": ("kiban.cli.office", "Run the programme: calls, awards, budgets, and the server for them."),
}
HIDDEN = {"stage": "kiban.cli.stage"}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is used, so that `kiban --help` is instant."""

    def __init__(
        self, *given: Any, lazy: Mapping[str, tuple[str, str]], hidden: Mapping[str, str], **more: Any
    ) -> None:
        """Args: lazy: command -> (module, one line of help); hidden: command -> module."""
        super().__init__(*given, **more)
        self.lazy, self.hidden_modules = lazy, hidden

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        module = self.hidden_modules.get(name) or self.lazy.get(name, (None,))[0]
        if module is None:
            return None
        found = getattr(importlib.import_module(module), name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])


@click.group(cls=LazyGroup, lazy=COMMANDS, hidden=HIDDEN, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(kiban.__version__, prog_name="kiban")
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="KIBAN_STORE",
    default=Path(".kiban"),
    show_default=True,
    help="Folder of artifacts.",
)
@click.pass_context
def cli(context: click.Context, store: Path) -> None:
    """kiban (基盤): make, prove and use foundation models, every step evidenced."""
    context.obj = store


def main() -> None:
    """Run the command line. Bad input is one line on stderr and exit 2, a refusal exit 3, a bug a traceback."""
    # Threads of a matrix product wait for one another by spinning, by default for milliseconds. On a machine that does
    # something else too, they spin while the one they wait for has no core: a tenth of the speed. After about ten
    # microseconds they had better sleep. Read when torch loads, here and in the stages' processes.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        status = cli(standalone_mode=False)
    except click.exceptions.Abort:
        _fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader (`| head`) has had enough; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KibanError as error:
        _fail(str(error), error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(line: str, status: int) -> None:
    print(f"kiban: {line}", file=sys.stderr, flush=True)
    sys.exit(status)
