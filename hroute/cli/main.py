"""The command line: which command lives in which module, and what every error ends with."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

import typer

from hroute.cli import exits, streams
from hroute.errors import HrouteError, UsageError

COMMANDS: Final = {
    "ask": "Send a prompt through the policy and print the answer.",
    "explain": "Say where a prompt would go and why; nothing is sent.",
    "check": "Check the policy: mistakes, dead rules, broken guarantees.",
    "test": "Run the policy's own test cases and say what they cover.",
    "diff": "Say what changes route between two policies, and prove it.",
    "batch": "Ask every line of a file; go on after whatever stopped it.",
    "queue": "Requests that nobody answered, kept to be asked again.",
    "dry-run": "Re-decide a log under the policy: where, and at what cost.",
    "tune": "Say which threshold of the score pays on your outcomes.",
    "train": "Learn a score from your outcomes; says what it is worth.",
    "eval": "Measure the signals on your own labelled texts.",
    "logs": "What happened to each request; export and prune.",
    "costs": "What was spent: by provider, model, rule, intent, day.",
    "feedback": "Say that an answer was good or bad.",
    "prices": "What a provider or a model costs, and who says so.",
    "init": "Write a first policy, its tests, the schema for your editor.",
    "models": "List the models and prices that hroute knows.",
    "serve": "Serve the policy to programs that speak Anthropic or OpenAI.",
    "claude": "Run Claude Code through the gateway.",
    "statusline": "One line about a session for Claude Code's terminal.",
    "keys": "Keep the vendors' keys where only you can read them.",
    "status": "List the providers: key, locality, price.",
    "schema": "Print the JSON Schema of the policy file.",
    "sandbox": "Scripted stand-ins for every vendor, to rehearse an outage.",
}
"""Command -> its line in `hroute --help`, in that order. Only the module of the command that is called is imported."""

_EXAMPLES: Final = """\
\b
Examples:
  hroute init                                    write a first policy here
  hroute ask "Why is the sky blue?"              prompt in, answer out
  hroute ask --sandbox "Why is the sky blue?"    the same without keys or servers
  git diff | hroute ask "Write a commit message"
  hroute explain -f big.py "Refactor this"       where would it go, and why?
  hroute check                                   is the policy right?
  hroute dry-run october.jsonl                   what would it have cost?

One policy file decides which model serves each request. The policy is -p FILE,
else $HROUTE_POLICY, else ./routing-config.yaml, else the one in your XDG
config directory. --json gives every command's result to a program.
"""

_EXIT_CODES: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {text}" for code, text in exits.MEANINGS.items())


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code. Every error becomes a code here and nowhere else."""
    streams.prepare()
    command = _command_in(arguments)
    as_json = _asks_for_json(arguments)
    try:
        _all_text(arguments)
        code = application(command)(args=_plain(command, arguments), prog_name="hroute", standalone_mode=False)
        streams.finish()
        return code if isinstance(code, int) else exits.DONE
    except streams.PipeClosed:
        return exits.DONE
    except (KeyboardInterrupt, typer.Abort):
        return exits.INTERRUPTED
    except HrouteError as error:
        return _report(error, command, as_json)
    except typer.TyperException as error:
        return _report_usage(error, command, as_json)
    except OSError as error:
        return _report(UsageError(f"{error.strerror or error}{_at(error.filename)}"), command, as_json)
    except Exception as error:
        return _report_crash(error, command, as_json)


def application(command: str | None) -> typer.Typer:
    """The Typer application with `command` in full and the others by name; all of them in full for completion."""
    app = typer.Typer(
        epilog=_EXIT_CODES,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(help=_EXAMPLES)(_root)
    completing = "_HROUTE_COMPLETE" in os.environ
    for name, summary in COMMANDS.items():
        if completing or name == command:
            import_module(f"hroute.cli.{name.replace('-', '_')}").register(app)
        else:
            app.command(name, help=summary)(_elsewhere)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from hroute import __version__

        streams.line(f"hroute {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and leave.", is_eager=True, callback=_print_version
    ),
) -> None:
    """Options before the command: none takes a value, so that `_command_in` finds the command."""


def _elsewhere() -> None:
    """Stands for a command whose module was not asked for."""
    raise AssertionError("a command ran without its module")


def _command_in(arguments: Sequence[str]) -> str | None:
    """The first word that is no option: options before it take no values."""
    word = next((a for a in arguments if not a.startswith("-")), None)
    return word if word in COMMANDS else None


def _all_text(arguments: Sequence[str]) -> None:
    """Bytes that are no UTF-8 come in as lone surrogates, which no pattern, file or vendor takes."""
    for number, argument in enumerate(arguments, 1):
        if not argument.isascii() and any("\ud800" <= c <= "\udfff" for c in argument):
            raise UsageError(
                f"argument {number} is not UTF-8 text", help="pipe it in through iconv -f ENCODING -t UTF-8"
            )


def _plain(command: str | None, arguments: Sequence[str]) -> list[str]:
    """`--tree` takes a value or none; Typer knows only one or the other. What follows `claude` is for another program."""
    if command == "claude":
        return import_module("hroute.cli.claude").parted(arguments)  # type: ignore[no-any-return]
    return ["--tree-mermaid" if a == "--tree=mermaid" and command == "check" else a for a in arguments]


def _asks_for_json(arguments: Sequence[str]) -> bool:
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own or "--format=json" in own


def _report(error: HrouteError, command: str | None, as_json: bool) -> int:
    from hroute.cli.render import failure

    failure.show(error)
    if as_json:
        _tell_program(command, failure.as_json(error))
    return exits.code_of(error)


def _report_usage(error: typer.TyperException, command: str | None, as_json: bool) -> int:
    """A command line that Typer could not read; it has its own way to show that, with the usage line."""
    show = getattr(error, "show", None)
    if show is not None:
        show()
    if as_json:
        _tell_program(command, {"error": {"code": "usage", "message": error.format_message()}})
    return exits.USAGE


def _report_crash(error: Exception, command: str | None, as_json: bool) -> int:
    """A defect of ours. The error's own text stays out of sight: it might quote a prompt."""
    if os.environ.get("HROUTE_DEBUG"):
        raise error
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
    message = f"hroute itself failed: {type(error).__name__} at {place}. HROUTE_DEBUG=1 shows where; please report it."
    streams.talk(message)
    if as_json:
        _tell_program(command, {"error": {"code": "internal", "message": message}})
    return exits.INTERNAL


def _tell_program(command: str | None, content: Mapping[str, object]) -> None:
    with suppress(streams.PipeClosed):
        streams.emit(command or "error", content)


def _at(filename: object) -> str:
    return f": {filename}" if filename else ""
