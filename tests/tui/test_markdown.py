"""Markdown as lines: what it means is kept, and nothing in it acts on the terminal."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.tui import sessions
from tests.tui.conftest import viewer
from tests.tui.test_keys import shown
from tui.markdown import EMPHASIS, LONGEST, markdown_lines
from tui.spans import Span, plain, width
from tui.text import harmless

DOCUMENT = """\
# A *session*

Text with **what matters**, *a nuance* and `CODE = 1`
over two lines. <!-- unseen -->

<!-- autoresearch: written by the engine -->

- first, and long enough to be wrapped
  1. nested
  2. again

     a paragraph
- last

> quoted
> too

```python
x  =  1
```

| name | value |
|---|---|
| DEPTH | **4** |
"""
SHOWN = """\
A session

Text with what matters, a nuance and
CODE = 1 over two lines.

· first, and long enough to be
  wrapped
  1. nested
  2. again

     a paragraph
· last

│ quoted too

  x  =  1

name   value
DEPTH  4
"""


def text_of(text: str, cells: int = 36) -> str:
    return "".join(plain(line).rstrip() + "\n" for line in markdown_lines(text, cells))


def test_a_document_is_set_as_it_is_meant() -> None:
    assert text_of(DOCUMENT) == SHOWN
    spans = {span for line in markdown_lines(DOCUMENT, 36) for span in line}
    assert {Span("A ", "key"), Span("matters", "strong"), Span("nuance", EMPHASIS), Span("4", "strong")} <= spans
    assert Span("name", "strong") in spans


def test_a_table_that_does_not_fit_is_still_read() -> None:
    table = "| name | value | why |\n|---|---|---|\n| DEPTH | **4** | fewer steps but each of them better |\n"
    lines = markdown_lines(table, 20)
    assert " ".join(" ".join(plain(line) for line in lines).split()).endswith("fewer steps but each of them better")
    assert max(width(line) for line in lines) <= 20


def test_nothing_in_it_acts_on_the_terminal() -> None:
    hostile = "a\x1b]52;c;eA==\x07b &#27;[2J &#x9b;31m <b onclick=x>bold</b> [link](http://x.example) ![image](x)\u202e"
    text = text_of(hostile, 200).strip()
    assert harmless(text) == text
    assert "ab" in text and "link" in text and "image" in text and "example" not in text


@given(st.text(alphabet=st.sampled_from("ab *_`#>-|[]()!\n<&;1.\x1b\t\u0301漢"), max_size=200), st.integers(12, 60))
def test_no_text_breaks_it(text: str, cells: int) -> None:
    for line in markdown_lines(text, cells):
        words = plain(line)
        assert harmless(words) == words


def test_a_document_that_nobody_would_read_is_cut_and_that_is_said() -> None:
    lines = markdown_lines("word " * LONGEST, 80)
    assert "left out" in plain(lines[-1])


async def test_the_notes_second_page_is_what_the_session_learned(tmp_path: Path) -> None:
    recorder = sessions.three(tmp_path)
    app = viewer(recorder)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("L")
        assert "There is no autoresearch.md" in shown(app)
        recorder.workspace.document.write_text("# Goal\n\nLower **val_bpb**.\n" + "\n- more" * 40)
        app.poll()
        await pilot.pause()
        assert "Lower val_bpb." in shown(app) and "autoresearch.md" in shown(app)
        await pilot.press("end")
        await pilot.pause()
        assert app.main.current is app.main.notes_pane and app.main.current.body.scroll_offset.y > 0
        await pilot.press("1", "L")
        assert app.main.current is app.main.notes_pane and app.main.notes_pane.shows_learnings
        await pilot.press("L")
        assert not app.main.notes_pane.shows_learnings and "hypothesis" in shown(app)
        await pilot.press("tab", "shift+tab", "down")
        assert app.main.current is app.main.notes_pane
