"""The report on a session and its forms: what they say, of whatever session, and that hostile text stays text."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engine.claims import Standing
from engine.ledger import Config
from engine.reporting import SUFFIXES, Report, chart, exporting, figures, markdown, table
from tests.engine.workspaces import git
from tests.tui import sessions
from tests.tui.sessions import Recorder

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "| a cell | `code` **bold** [link](javascript:alert(1)) <b>tag</b>",
    "two\nlines\tand a tab\r\x1b[31mred\x1b[0m \u202eturned",
    "```\nfence\n```",
    "]]> --> &lt;b&gt; &amp; \"quotes\" 'single'",
    "# heading\n- item",
    "x" * 5000,
    "日本語の説明 🎉 é → ×",
    "\x00\ud800\ufffe",
    "",
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def hostile(root: Path) -> Recorder:
    """Everything that a session can hold, written by somebody who means harm."""
    recorder = sessions.between(root, 12)
    for number, said in enumerate(HOSTILE):
        run = 13 + number
        folder = recorder.workspace.run_folder(run)
        folder.path.mkdir(parents=True)
        folder.diff.write_text(f"+{said}\n".encode("utf-8", "replace").decode())
        kept = number % 2 == 0
        sessions.append_raw(
            recorder,
            {
                "run": run,
                "commit": said[:40],
                "metric": 1.7 - number / 1000,
                "status": "keep" if kept else said[:20] or "discard",
                "description": said,
                "asi": {"hypothesis": said, said[:30]: said, "result": [said]},
            },
        )
        sessions.append_raw(recorder, {"type": "note", "run": run, "text": said})
    return recorder


def foreign(root: Path, records: list[dict[str, Any]], name: str = "autoresearch.jsonl") -> Path:
    """A session that another tool wrote: a ledger and nothing else."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def higher(root: Path) -> Path:
    """Of a metric that is to grow, in milliseconds since the epoch, without ASI or run folders."""
    config = {
        "type": "config",
        "name": "speed",
        "metricName": "tok/s",
        "metricUnit": "tok/s",
        "bestDirection": "higher",
    }
    metrics = ((15_200.5, "keep"), (14_000.0, "discard"), (16_400.0, "keep"), (0, "crash"), (91_000.0, "odd"))
    runs = [
        {"run": 1, "metric": metric, "status": status, "description": f"try {at}", "timestamp": 1.7e12 + at * 60_000}
        for at, (metric, status) in enumerate(metrics)
    ]
    return foreign(root, [config, *runs])


def marks(svg: str, kind: str) -> int:
    """How many runs have a mark of this kind."""
    return len([each for each in re.findall(r'class="([^"]+)"[^>]*data-i=', svg) if kind in each.split()])


def test_what_is_proven_comes_first_and_then_what_gained_more(tmp_path: Path) -> None:
    report = exporting.report_on(sessions.confirmed(tmp_path / "demo").root)
    order = [(each.claim.standing, each.gain) for each in report.kept]
    assert order[0][0] is Standing.CONFIRMED
    assert order[1:] == sorted(order[1:], key=lambda each: -each[1])
    assert report.gain is not None and report.gain < 0
    assert all(each.diff.startswith("diff --git") for each in report.kept)
    assert "confirmed" in figures.standing(report)


def test_of_another_tool_that_numbers_no_runs_the_incumbent_is_the_best_that_it_kept(tmp_path: Path) -> None:
    runs = [{"run": 1, "metric": metric, "status": "keep"} for metric in (1.7, 1.5, 1.6)]
    best = exporting.report_on(foreign(tmp_path, runs)).best
    assert best is not None and best.value == 1.5


def test_failures_are_told_by_their_reasons(tmp_path: Path) -> None:
    report = exporting.report_on(sessions.queued(tmp_path / "demo").root)
    assert [each.reason for each in report.failures] == ["prepare.py was changed during the run, and restored"]
    report = exporting.report_on(sessions.hundred(tmp_path / "hundred").root)
    (failures,) = report.failures
    assert len(failures.runs) == sum(each.word == "crashed" for each in report.runs)


def test_what_came_closest_is_the_first_of_what_was_not_kept(tmp_path: Path) -> None:
    report = exporting.report_on(sessions.hundred(tmp_path / "demo").root)
    behind = [(each.value or 0) - (each.best_before or 0) for each in report.discarded]
    assert behind == sorted(behind) and behind[0] >= 0


def test_a_metric_that_is_to_grow(tmp_path: Path) -> None:
    report = exporting.report_on(higher(tmp_path / "speed"))
    assert [each.number for each in report.runs] == [1, 2, 3, 4, 5]  # its own are all 1
    assert "tok/s went from 15,200.5 to 16,400.0 (+1,199.5, +7.89%)" in figures.headline(report)
    assert report.floor is None  # five experiments are no five runs of one
    assert "higher than the best" in figures.method(report)
    assert dict(figures.budget(report))["When"].endswith("(4 minutes)")
    svg = chart.picture(report)
    assert "higher is better" in svg
    assert marks(svg, "clipped") == 1  # 91,000, which nobody kept
    assert marks(svg, "failed") == 1


def test_each_suffix_has_its_form() -> None:
    assert [(name, form.suffix) for name, form in exporting.FORMS.items()] == [(name, name) for name in SUFFIXES]


@pytest.mark.parametrize("records", [[], [{"type": "config"}]], ids=["nothing", "a config"])
def test_a_session_without_a_run(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    path = foreign(tmp_path, records or [{"type": "config", "name": "x", "metricName": "loss"}])
    report = exporting.report_on(path)
    assert "No experiment has been recorded yet." in markdown.markdown(report)
    assert table.table(report).count("\n") == 1
    for form in exporting.FORMS.values():
        assert form.render(report)


def test_a_session_where_everything_crashed(tmp_path: Path) -> None:
    runs = [{"run": at, "metric": None, "status": "crash", "asi": {"result": f"line {at}: boom"}} for at in (1, 2, 3)]
    report = exporting.report_on(foreign(tmp_path, runs))
    said = markdown.markdown(report)
    assert "None of the 3 runs gave a metric." in said
    assert "line 3: boom (runs 1, 2 and 3)" in said
    assert "no run has given a metric yet" in chart.picture(report)


def test_hostile_text_stays_text_in_markdown(tmp_path: Path) -> None:
    report = exporting.report_on(hostile(tmp_path / "demo").root)
    said = markdown.markdown(report)
    outside = re.sub(r"(?ms)^(`{3,})diff\n.*?^\1$", "", said)
    assert not re.search(r"(?<!\\)<(?!!--)", outside)
    assert "](javascript" not in outside.replace("\\]", "")
    assert "\x1b" not in said and "\u202e" not in said and "\x00" not in said
    table_rows = [line for line in outside.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in table_rows} <= {5, 6}
    said.encode()


def test_hostile_text_stays_text_in_the_chart(tmp_path: Path) -> None:
    report = exporting.report_on(hostile(tmp_path / "demo").root)
    svg = chart.picture(report)
    root = ElementTree.fromstring(svg)
    assert {each.tag.split("}")[1] for each in root.iter()} <= {
        *("svg", "style", "rect", "text", "line", "path", "polyline", "circle")
    }
    assert len(re.findall("data-i=", svg)) == len(report.runs)


def test_the_chart_has_a_mark_for_every_run(tmp_path: Path) -> None:
    report = exporting.report_on(sessions.hundred(tmp_path / "demo").root)
    svg = chart.picture(report)
    assert marks(svg, "kept") == len(report.kept) + 1
    assert marks(svg, "failed") == len(report.failures[0].runs)
    assert marks(svg, "kept") + marks(svg, "discarded") + marks(svg, "failed") == len(report.runs) == 100
    assert f"99 experiments, {len(report.kept)} kept improvements" in svg


def test_what_chance_may_bring_is_shaded_where_it_is_known(tmp_path: Path) -> None:
    assert '<rect class="noise"' in chart.picture(exporting.report_on(sessions.confirmed(tmp_path / "a").root))
    assert '<rect class="noise"' not in chart.picture(exporting.report_on(sessions.hundred(tmp_path / "b").root))


def test_an_exploded_run_does_not_press_the_rest_into_a_line(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path / "demo", 20)
    before = chart.shapes(exporting.report_on(recorder.root), chart.PICTURE)
    for metric in (1e9, 40.0, 1e308):
        recorder.begin()
        recorder.finish("discard", metric, "no lower", description="boom")
    svg = chart.shapes(exporting.report_on(recorder.root), chart.PICTURE)
    assert marks(svg, "clipped") >= 3
    assert re.findall(r'text-anchor="end">([\d.]+)<', before)[:3] == re.findall(r'text-anchor="end">([\d.]+)<', svg)[:3]


def test_a_picture_says_what_made_it_and_is_of_the_size_that_people_post(tmp_path: Path) -> None:
    report = exporting.report_on(sessions.three(tmp_path / "demo").root)
    png = exporting.FORMS["png"].render(report)
    assert png.startswith(b"\x89PNG")
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (2400, 1350)
    assert b"made by autoresearch-tui export" in png[:200]


def test_the_table_has_karpathys_columns(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path / "demo", 8)
    recorder.begin()
    recorder.finish("discard", None, "skipped", description="tabs\tand\nlines", result="skipped")
    lines = table.table(exporting.report_on(recorder.root)).splitlines()
    assert lines[0] == "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
    assert lines[1] == "0000001\t1.755000\t0.8\tkeep\tbaseline"
    assert lines[8].split("\t")[1:4] == ["0.000000", "0.0", "crash"]
    assert lines[9].split("\t")[1:] == ["0.000000", "0.0", "crash", "skipped: tabs and lines"]


def test_hostile_text_stays_in_its_cell(tmp_path: Path) -> None:
    report = exporting.report_on(hostile(tmp_path / "demo").root)
    lines = table.table(report).split("\n")
    assert lines.pop() == "" and len(lines) == len(report.runs) + 1
    assert all(line.count("\t") == 4 and "\r" not in line for line in lines)


def test_two_thousand_experiments(tmp_path: Path) -> None:
    recorder = sessions.between(tmp_path / "demo", 2)
    for run in range(3, 2001):
        status, metric = (
            ("crash", None) if run % 17 == 0 else ("keep" if run % 40 == 0 else "discard", 1.7 - run * 1e-5)
        )
        sessions.append_raw(recorder, {"run": run, "metric": metric, "status": status, "description": f"change {run}"})
    report = exporting.report_on(recorder.root)
    assert len(report.runs) == 2000
    said = {name: form.render(report) for name, form in exporting.FORMS.items()}
    assert len(said["md"]) < 60_000
    assert len(said["svg"]) < 400_000
    assert said["tsv"].count(b"\n") == 2001


def test_what_people_wrote_down_is_in_the_report_and_what_the_engine_wrote_is_not(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path / "demo")
    recorder.workspace.document.write_text(
        "# x\n\n## What was learned\n\nDepth beats width.\n\n"
        "<!-- autoresearch: written by the engine, from here … -->\nengine's own\n<!-- … to here -->\n\n"
        "### Later\n\n- <script>\n\n## Other\n\nnot this\n"
    )
    said = markdown.markdown(exporting.report_on(recorder.root))
    assert "Depth beats width." in said and "#### Later" in said and "- &lt;script>" in said
    assert "engine's own" not in said and "not this" not in said


def test_of_several_segments_the_last_that_ran_is_told_or_the_one_that_is_named(tmp_path: Path) -> None:
    recorder = sessions.two_segments(tmp_path / "demo")
    recorder.ledger.open_segment(Config())
    assert exporting.report_on(recorder.root).segment == 1
    first: Report = exporting.report_on(recorder.root, 1)
    assert (first.segment, len(first.runs)) == (0, 9)


def test_a_kept_change_without_a_run_folder_is_shown_from_git(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    shas = []
    for value in (1, 2):
        (tmp_path / "train.py").write_text(f"LR = {value}\n")
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "--quiet", "-m", "x")
        shas.append(git(tmp_path, "rev-parse", "--short", "HEAD"))
    runs = [{"run": at, "metric": 2 - at / 10, "status": "keep", "commit": sha} for at, sha in enumerate(shas, 1)]
    runs.append({"run": 3, "metric": 1.5, "status": "keep", "commit": f"--output={tmp_path}/gotcha"})
    (kept, hostile) = exporting.report_on(foreign(tmp_path, runs)).kept[::-1]
    assert "-LR = 1\n+LR = 2\n" in kept.diff
    assert hostile.diff == "" and not (tmp_path / "gotcha").exists()


@pytest.mark.parametrize("best", [-1e308, 1e308, 1e-320])
def test_metrics_whose_differences_are_no_numbers(tmp_path: Path, best: float) -> None:
    metrics = ((-best, "keep"), (best, "keep"), (1.7, "discard"), (-1e308, "discard"), (1e308, "keep"))
    runs: list[dict[str, Any]] = [
        {"run": at, "metric": metric, "status": status, "seconds": 1e308, "repeats": [metric, 1e308, 2.0]}
        for at, (metric, status) in enumerate(metrics, 1)
    ]
    runs.append({"type": "repeat", "run": 1, "metric": -1e308, "seed": 7})
    report = exporting.report_on(foreign(tmp_path, runs))
    said = {name: form.render(report) for name, form in exporting.FORMS.items()}
    for name in ("md", "html", "svg"):
        assert not re.search(r"\b(inf|nan)\b", re.sub(r"<(style|script)>.*?</\1>", "", said[name].decode()))
    assert ">1e+150" in said["md"].decode() and "<−1e+150" in said["md"].decode().replace("\\", "")
    assert b"\t1e+308\t" in said["tsv"]


def test_no_zero_has_a_sign(tmp_path: Path) -> None:
    runs = [{"run": at, "metric": -0.0, "status": "keep", "metrics": {"peak_memory_mb": -0.0}} for at in (1, 2, 3)]
    report = exporting.report_on(foreign(tmp_path, [{"type": "config", "bestDirection": "higher"}, *runs]))
    for name in ("md", "html", "svg", "tsv"):
        said = re.sub(r"(?s)<style>.*?</style>|<script>.*?</script>", "", exporting.FORMS[name].render(report).decode())
        assert not re.search(r"[-−](0\.0*|0)(?![\d.])", said), name


def test_a_report_says_what_is_optimized_in_which_unit_and_which_segment_it_tells(tmp_path: Path) -> None:
    config = {"type": "config", "name": "Sort speed", "metricName": "time", "metricUnit": "µs"}
    runs = [{"run": at, "metric": metric, "status": "keep"} for at, metric in enumerate((15.0, 12.0), 1)]
    path = foreign(tmp_path, [{"type": "config", "metricName": "loss"}, runs[0], config, *runs])
    report = exporting.report_on(path)
    said = {name: exporting.FORMS[name].render(report).decode() for name in ("md", "html", "svg")}
    assert "# Sort speed\n" in said["md"] and "<h1>Sort speed</h1>" in said["html"] and ">Sort speed: " in said["svg"]
    assert all("15.0000 to 12.0000 µs (−3.0000, −20.0%)" in said[name] for name in ("md", "html"))
    assert "12.0000 µs" in said["svg"] and "time (µs), lower is better" in said["svg"]
    assert "This is segment 2 of 2; `--segment 1` is another." in said["md"]
    assert "segment 2 of 2; <code>--segment 1</code> is another" in said["html"]
    assert exporting.remarks(report) == [f"{path}: this is segment 2 of 2; `--segment 1` is another"]
    first = exporting.report_on(path, 1)
    assert (first.title, first.unit) == (tmp_path.name, "")  # its config says no more


def test_a_metric_beyond_all_others_does_not_shape_the_chart_of_a_few_runs(tmp_path: Path) -> None:
    metrics = ((15.0, "keep"), (12.0, "keep"), (1e308, "discard"))
    runs = [{"run": at, "metric": metric, "status": status} for at, (metric, status) in enumerate(metrics, 1)]
    svg = chart.picture(exporting.report_on(foreign(tmp_path, runs)))
    assert marks(svg, "clipped") == 1 and "e+149" not in svg
