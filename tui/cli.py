"""The commands (DESIGN §6): each one is a few lines over the engine, or opens the viewer.

Every error is one sentence on stderr; exit codes: 0 done, 1 the work failed, 2 wrong usage or an unusable
workspace, 130 interrupted. Textual is imported only where a screen is shown, and what one command alone needs
only in it: most of a short command's time is its imports.
"""

import io
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import msgspec

from engine import (
    commands,
    launch,
    ledger,
    obstacles,
    past,
    preflight,
    sessions,
)
from engine.errors import AutoresearchError, UnusableWorkspace
from engine.initialize import PROFILES, Profile, initialize
from engine.metrics import MetricScanner
from engine.presence import engine_of
from engine.reporting import SUFFIXES
from engine.settings import PROPOSERS
from engine.verification import RUNS_EACH
from engine.workspace import Workspace
from tui import configuration
from tui.configuration import Configuration
from tui.headless import Headless
from tui.seen import Seen

DEMO_DIRECTORY = "autoresearch-demo"
DEMO_EXPERIMENTS = 30
SCREEN_FLAGS = ("--ascii", "--mouse", "--no-mouse")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def directory(default: str | None = ".") -> Decorator:
    """The DIR argument; required where there is no default."""
    return click.argument(
        "workspace",
        metavar="DIR" if default is None else "[DIR]",
        type=_Directory(),
        default=default,
        required=default is None,
    )


def experiments() -> Decorator:
    return click.option(
        "--experiments", type=click.IntRange(min=0), help="How many experiments after the baseline the session has."
    )


def proposer_option() -> Decorator:
    return click.option(
        "--proposer",
        type=click.Choice(PROPOSERS),
        help="What chooses the next change, whatever autoresearch.toml says.",
    )


def headless_flag() -> Decorator:
    return click.option("--headless", is_flag=True, help="No screen: one line per experiment on stdout.")


def screen_options() -> Decorator:
    """How the screen looks, over what config.toml says."""

    def keep(context: click.Context, option: click.Parameter, value: bool | None) -> None:
        context.meta[option.name or ""] = value

    def option(name: str, default: bool | None, help: str) -> Decorator:
        return click.option(name, is_flag=True, default=default, help=help, expose_value=False, callback=keep)

    ascii_ = option("--ascii", False, "Frames, marks and bars in ASCII.")
    mouse = option("--mouse/--no-mouse", None, "Take the mouse; off over SSH as a rule.")
    return lambda command: ascii_(mouse(command))


class _Directory(click.ParamType[Workspace]):
    name = "DIR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Workspace:
        if isinstance(value, Workspace):
            return value
        workspace = Workspace.at(Path(value))
        obstacles.refuse_path(workspace)
        return workspace


class _Session(click.ParamType[past.Place]):
    name = "DIR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> past.Place:
        place = value if isinstance(value, past.Place) else past.place_at(Path(value))
        obstacles.refuse_path(place.workspace)
        return place


def session() -> Decorator:
    """The DIR argument, which may be a session's file."""
    return click.argument("place", metavar="[DIR]", type=_Session(), default=".")


class _OpensByDefault(click.Group):
    """`autoresearch-tui DIR` is `autoresearch-tui open DIR`; `--ascii demo` is `demo --ascii`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in ("--help", "--version"):
            first = list(itertools.takewhile(SCREEN_FLAGS.__contains__, args))
            rest = args[len(first) :]
            command = [rest.pop(0)] if rest and rest[0] in self.commands else ["open"]
            args = [*command, *first, *rest]
        return super().parse_args(ctx, args)


@click.group(cls=_OpensByDefault)
@click.version_option(package_name="autoresearch-tui", message="%(version)s")
def cli() -> None:
    """Runs the autoresearch loop for single-GPU LLM pretraining, and shows it in a terminal.

    `autoresearch-tui DIR` opens DIR's session; `autoresearch-tui demo` shows everything at work on any machine.
    """


@cli.command("open", hidden=True)
@directory()
@experiments()
@screen_options()
def open_session(workspace: Workspace, experiments: int | None) -> int:
    """Open DIR's session: start its engine if none runs, and show it; without a session, the set-up screen."""
    if _has_terminal() and not preflight.has_session(workspace):
        obstacles.refuse_directory(workspace)
        from tui.app import set_up

        return set_up(workspace, experiments, _configuration())
    return _show(workspace, experiments)


@cli.command("demo", short_help="The loop at work on any machine, with no model and no GPU.")
@directory(DEMO_DIRECTORY)
@headless_flag()
@experiments()
@screen_options()
def run_demo(workspace: Workspace, headless: bool, experiments: int | None) -> int:
    """A workspace on the shipped corpus with the offline proposer, started. Run again, it goes on.

    Stops after 30 experiments unless told otherwise.
    """
    from engine import demo

    demo.set_up(workspace, say=lambda sentence: print(sentence, file=sys.stderr))
    wanted = DEMO_EXPERIMENTS if experiments is None else experiments
    if headless or not _has_terminal():
        return _run_headless(workspace, wanted)
    return _show(workspace, wanted)


@cli.command("init", short_help="Begin a session in DIR, or put the agent skill there.")
@directory(None)
@click.option("--tag", help="Names the session: its branch is autoresearch/TAG-DATE.")
@click.option("--profile", type=click.Choice(PROFILES), default="gpu", show_default=True)
@click.option("--skill", "with_skill", is_flag=True, help="Also put the agent skill in DIR; without --tag only that.")
def initialize_session(workspace: Workspace, tag: str | None, profile: str, with_skill: bool) -> int:
    """The set-up phase: template, branch, ignored files, autoresearch.md and .sh, one commit.

    With --skill a coding agent finds in DIR how to run the loop by itself: Claude Code, Codex, OpenCode, Gemini CLI, ….
    """
    from engine import skill

    if tag is None and not with_skill:
        raise click.UsageError("Missing option '--tag'.")
    if with_skill:
        skill.refuse(workspace)
    if tag is not None:
        branch = initialize(workspace, tag, Profile.load(profile))
        print(f"{workspace.root} is on {branch}. Next: `autoresearch-tui prepare {workspace.quoted}`.")
    if with_skill:
        for home in skill.install(workspace):
            print(f"{home}: the skill `{skill.NAME}`. Ask your coding agent to run it.")
    return 0


@cli.command(
    "prepare",
    short_help="Fetch data and tokenizer, by DIR's own prepare.py.",
    context_settings={"ignore_unknown_options": True},
)
@directory()
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def prepare_data(workspace: Workspace, options: tuple[str, ...]) -> int:
    """Data and tokenizer, by the workspace's own prepare.py; OPTIONS go to it (--num-shards, --workers)."""
    from engine import preparation

    preparation.prepare(workspace, list(options))
    return 0


@cli.command("run", short_help="Run the loop; with --headless without a screen.")
@directory()
@headless_flag()
@experiments()
@proposer_option()
@screen_options()
def run_loop(workspace: Workspace, headless: bool, experiments: int | None, proposer: str | None) -> int:
    """The loop: with --headless in the foreground and without a screen, for scripts and CI."""
    show = _run_headless if headless else _show
    return show(workspace, experiments, proposer or "")


@cli.command("stop", short_help="End the engine after this experiment, or at once.")
@directory()
@click.option("--now", is_flag=True, help="End the running experiment too.")
def stop_engine(workspace: Workspace, now: bool) -> int:
    """End the engine after this experiment, or at once."""
    holder = engine_of(workspace)
    if holder is None:
        raise UnusableWorkspace(f"no engine runs in {workspace.root}.")
    try:
        commands.send(workspace, commands.Stop(now=now))
    except OSError:
        if not now:
            raise
        os.kill(holder.pid, signal.SIGTERM)  # a full disk takes no command, and must not keep the engine running
    print("The engine stops now." if now else "The engine stops after this experiment.")
    return 0


@cli.command("verify", short_help="Measure the session's gain again, with its interval.")
@directory()
@click.option("--each", type=click.IntRange(2, 100), default=RUNS_EACH, show_default=True, help="Runs of each.")
@click.option("--ablate", is_flag=True, help="Also the incumbent without each kept change.")
def verify_gain(workspace: Workspace, each: int, ablate: bool) -> int:
    """Run baseline and incumbent again, in turn: the session's gain with its interval.

    Cut off, the next call goes on where it stood.
    """
    from tui.verifying import Verifying

    preflight.inspect(workspace)
    told = Verifying(workspace, each=each, ablate=ablate)
    print(told.cost(), file=sys.stderr)
    launch.run_engine(workspace, verification=told.plan, waits_on_trouble=False, listener=told.on_event)
    print(told.report())
    return 0


@cli.command("status", short_help="One look at a session.")
@session()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option("--line", "as_line", is_flag=True, help="As one short line, for a status bar.")
def show_status(place: past.Place, as_json: bool, as_line: bool) -> int:
    """One look at a session.

    DIR: a workspace, or the file of a session, other tools' included.
    """
    from engine import status

    seen = status.of(place.workspace, place.file)
    if as_json:
        print(json.dumps(msgspec.to_builtins(seen), ensure_ascii=False))
    else:
        print(seen.line if as_line else seen.text)
    return 0


@cli.command("watch", short_help="Look at a session that an outside agent drives.")
@session()
@screen_options()
def watch_session(place: past.Place) -> int:
    """A session that an outside agent drives, live and read-only: ours or another tool's files, its log, its git.

    DIR: its directory, or its file.
    """
    workspace = place.workspace
    if place.file is None:
        past.require(workspace)
    if not _has_terminal():
        raise UnusableWorkspace(
            f"watching needs a terminal: `autoresearch-tui status {workspace.quoted}` does without."
        )
    from tui.app import watch

    return watch(workspace.root, _configuration(), place.file)


@cli.command("browse", short_help="Past sessions: those at PATH, then this machine's.")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@screen_options()
def browse_sessions(paths: tuple[Path, ...]) -> int:
    """Past sessions: those at PATH (workspaces, directories with some, ledgers), then this machine's."""
    if _has_terminal():
        from tui.app import browse

        return browse(paths, _configuration())
    from tui.browser_lines import text_line

    found = 0
    for session in past.gather(paths, sessions.known()):
        found += not session.trouble
        print(text_line(session), file=sys.stderr if session.trouble else sys.stdout)
    return 0 if found or not paths else UnusableWorkspace.exit_code


@cli.command("export", short_help="A report, chart or table of a session, to hand on.")
@click.argument("path", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option("--format", "form", type=click.Choice(SUFFIXES), help="As FILE's name ends, or md.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Where to; - is stdout, where text goes as a rule."
)
@click.option("--segment", type=click.IntRange(min=1), help="Which one, from 1; the last as a rule.")
@click.option("--force", is_flag=True, help="Replace FILE, and the .png beside an md, whoever made them.")
def export_session(path: Path, form: str | None, output: Path | None, segment: int | None, force: bool) -> int:
    """Hand a session on: a report (md, html), the chart that people post (png, svg), results.tsv (tsv).

    DIR: a workspace, or the file of a session, other tools' included.
    """
    from engine.reporting import exporting

    form = form or exporting.form_of(output)
    report = exporting.report_on(path, segment, form)
    if output == exporting.STDOUT or (output is None and exporting.FORMS[form].is_text):
        exporting.write_to(sys.stdout.buffer, exporting.FORMS[form].render(report))
    else:
        target = output or Path(f"{report.facts.name or 'autoresearch'}.{form}")
        for written in exporting.write(report, form, target, force=force):
            print(written)
    for remark in exporting.remarks(report):
        print(f"autoresearch-tui: {remark}", file=sys.stderr)
    return 0


@cli.command("finish", short_help="Make what was kept a clean branch, a commit for each.")
@directory()
@click.option("--branch", help="What the new branch is called; finished/TAG-DATE as a rule.")
@click.option("--squash", is_flag=True, help="One commit for all.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal nothing is asked: the branch is made.")
def finish_session(workspace: Workspace, branch: str | None, squash: bool, dry_run: bool, yes: bool) -> int:
    """Make what was kept a clean branch: one commit for each kept change, from where the session began.

    The session's branch, the work tree and what is staged stay as they are.
    """
    from engine import finishing

    with finishing.scratch() as scratch:
        finisher = finishing.finisher(workspace, Path(scratch))
        plan = finisher.plan(branch, squash=squash)
        print(plan.text)
        if dry_run:
            return 0
        if _has_terminal() and not yes:
            click.confirm("Make this branch?", default=True, abort=True)
        finisher.carry_out(plan)
    print(finishing.what_next(workspace, plan))
    return 0


@cli.command("doctor", short_help="What works here, what is missing, what to do.")
@directory()
def examine(workspace: Workspace) -> int:
    """What works for a session in DIR, what is missing, what to do. Changes nothing."""
    from engine import doctor
    from tui.doctor import finding_lines, terminal_findings
    from tui.spans import plain

    obstacles.refuse_file(workspace)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    is_well = True
    for finding in itertools.chain(doctor.examine(workspace), terminal_findings()):
        is_well = is_well and finding.ok is not False
        for line in finding_lines(finding, width):
            print(plain(line).rstrip(), flush=True)
    return 0 if is_well else 1


@cli.command("log", short_help="Append an outside agent's experiment to the ledger.")
@click.option("--dir", "workspace", metavar="DIR", type=_Directory(), default=".", help="Where autoresearch.jsonl is.")
@click.option("--run", metavar="N", help="Only a check: refused unless it is the next number.")
@click.option("--commit", metavar="SHA", help="The experiment's commit.")
@click.option("--metric", metavar="NUMBER", help="The primary metric, or null for a run that gave none.")
@click.option("--status", metavar="STATUS", help="keep, discard, crash or checks_failed.")
@click.option("--description", metavar="TEXT", help="What was tried, in a few words.")
@click.option("--metrics", metavar="JSON", help="All other figures: an object of numbers, as `metrics` prints it.")
@click.option("--segment", metavar="N", help="Only a check: refused unless it is the current one.")
@click.option("--asi", metavar="JSON", help="What was learned: hypothesis, arch_change, result, next_action_hint, ….")
@click.option("--config", "is_config", is_flag=True, help="Begin a segment instead, with the options that follow.")
@click.option("--name", metavar="TEXT", help="What is optimized.")
@click.option("--metric-name", metavar="NAME", help="The primary metric's, as its METRIC line has it: val_bpb.")
@click.option("--metric-unit", metavar="TEXT", help="Its unit.")
@click.option("--direction", metavar="lower|higher", help="Which way it improves: lower.")
def log_experiment(workspace: Workspace, is_config: bool, **given: str | None) -> int:
    """Append one experiment of an outside agent to the ledger, and print its line.

    The agent skill's log-experiment.sh takes the same options and calls this.
    """
    from engine import outside

    said = outside.Said(**{each.name: given[each.name] for each in fields(outside.Said)})
    config = outside.SaidConfig(**{each.name: given[each.name] for each in fields(outside.SaidConfig)})
    outside.refuse_mixed(said, config, is_config=is_config)
    line = outside.begin_segment(workspace, config) if is_config else outside.record(workspace, said)
    sys.stdout.buffer.write(line + b"\n")
    return 0


@cli.command("metrics", short_help="METRIC lines on stdin → JSON on stdout.")
def parse_metrics() -> int:
    """METRIC lines on stdin → JSON on stdout."""
    if sys.stdin is None:
        raise click.UsageError("stdin is closed: METRIC lines come on it.")
    scanner = MetricScanner()
    while chunk := sys.stdin.buffer.read(1 << 20):
        scanner.feed(chunk)
    scanner.finish()
    for problem in scanner.problems:
        print(problem, file=sys.stderr)
    print(json.dumps(ledger.whole(scanner.metrics), ensure_ascii=False))
    return 0


def _run_headless(workspace: Workspace, experiments: int | None, proposer: str = "") -> int:
    headless = Headless(workspace)
    reason = launch.run_engine(
        workspace,
        experiments=experiments,
        proposer=proposer,
        waits_on_trouble=False,
        listener=headless.on_event,
    )
    print(reason, file=sys.stderr)
    return 0


def _show(workspace: Workspace, experiments: int | None, proposer: str = "") -> int:
    if not _has_terminal():
        raise UnusableWorkspace("the screen needs a terminal: `autoresearch-tui run --headless` does without one.")
    from tui.app import Viewer, view

    viewer = Viewer(workspace, configuration=_configuration(), seen=Seen(workspace))
    launch.start_detached(workspace, experiments=experiments, proposer=proposer)
    return view(viewer)


def _configuration() -> Configuration:
    """What config.toml says, or the command line. Raises UnusableConfiguration."""
    found, said = configuration.load(), click.get_current_context().meta
    mouse = found.mouse if said["mouse"] is None else said["mouse"]
    ascii_ = said["ascii"] or configuration.wants_ascii(found, sys.stdout.encoding)
    return msgspec.structs.replace(found, ascii=ascii_, mouse=mouse)


def _has_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def main() -> None:
    """The program's entry point: runs a command, turns its errors into a sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrows is no reason to stop
    arguments = [each for each in sys.argv[1:] if each != "--debug"]
    sys.exit(_run(arguments, debug="--debug" in sys.argv))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        return cli.main(arguments, prog_name="autoresearch-tui", standalone_mode=False) or 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (AutoresearchError, click.ClickException, OSError) as error:
        if debug:
            raise
        sentence, code = _explain(error)
        if sentence:
            print(f"autoresearch-tui: {sentence}", file=sys.stderr)
        return code
    except Exception as error:  # the last net: a fault of ours is one sentence to a person, too
        if debug:
            raise
        print(f"autoresearch-tui: {_confess(error)}", file=sys.stderr)
        return 1


def _confess(error: Exception) -> str:
    """The sentence for a fault of our own; the traceback goes to a file."""
    said = " ".join(str(error).split())[:200]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="autoresearch-tui-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as log:
            log.write(f"{time.strftime('%F %T')} {sys.argv}\n{''.join(traceback.format_exception(error))}")
        where = f"the traceback is in {log.name}"
    except OSError:
        where = "`--debug` shows the traceback"
    return f"this is a fault of the program: {type(error).__name__}: {said} ({where})."


def _explain(error: AutoresearchError | click.ClickException | OSError) -> tuple[str, int]:
    """The sentence for the person, and the exit code."""
    match error:
        case AutoresearchError():
            return str(error), error.exit_code
        case click.ClickException():
            return error.format_message(), 2
        case OSError():
            where = f": {error.filename}" if error.filename else ""
            return f"{error.strerror or error}{where}.", 1
