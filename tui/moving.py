"""What a person looks at, and how: the run, the pane, the order, the search."""

import asyncio

from tui import clipboard
from tui.asking import Sentence
from tui.compare_screen import Comparison
from tui.comparison import pair
from tui.looker import Looker
from tui.panes.run_filter import FilterPrompt
from tui.panes.runs import RunsView, marked_words
from tui.searched import SearchedView
from tui.searching import Pattern
from tui.text import clean
from tui.view_state import beside, config_of, subject


class Mover(Looker, inherit_bindings=False):
    """The actions that change what is shown."""

    def select(self, run: int | None) -> None:
        """Look at a run; None: at the live one."""
        self.selected = run
        self.refresh_view()

    def action_select(self, step: int) -> None:
        self.select(beside(self.state, self.selected, step))

    def action_choose(self, run: int | None) -> None:
        self.select(run)

    def on_runs_view_chosen(self, message: RunsView.Chosen) -> None:
        self.select(message.run)

    def action_copy(self) -> None:
        text = self.main.current.copied()
        if text:
            self.run_worker(self._copy(clipboard.without_controls(text)), group="copy", exclusive=True)
        else:
            self.say("There is nothing to copy in this pane.", "warn")
            self.refresh_view()

    async def _copy(self, text: str) -> None:
        copied = text
        if not (clipboard.is_in_tmux() and await asyncio.to_thread(clipboard.to_tmux, text)):
            copied = clipboard.fitting(text)
            self.copy_to_clipboard(copied)
        self.say(clipboard.copied_words(copied, text))
        self.refresh_view()

    def action_compare(self) -> None:
        state = self.state
        found = pair(state, self.selected, self.main.runs_pane.body.marked)
        if isinstance(found, str):
            self.say(found, "warn")
            self.refresh_view()
        else:
            config = config_of(state, found[1])
            metric, lower_is_better = clean(config.metric_name), config.best_direction != "higher"
            self.push_screen(Comparison(self.workspace, *found, metric, lower_is_better=lower_is_better))

    def action_sort(self) -> None:
        self.main.runs_pane.next_order()
        self.main.go_to("runs")
        self.refresh_view()

    def action_filter(self) -> None:
        def show_only(text: str) -> str:
            problem = self.main.runs_pane.choose(text, self.state)
            self.refresh_view()
            return problem

        self.main.go_to("runs")
        self.push_screen(FilterPrompt(self.main.runs_pane.body.filter.text, show_only))

    def action_mark(self) -> None:
        about = subject(self.state, self.selected)
        if about is None or about.row is None:
            self.say("Only a run that has its line can be marked.", "warn")
        else:
            runs = self.main.runs_pane.body
            runs.toggle(about.run)
            self.say(marked_words(runs.marked))
        self.refresh_view()

    def action_search(self) -> None:
        body = self.main.current.body
        if not isinstance(body, SearchedView):
            self.say("A plot has no text: search in the runs, 5.", "warn")
            self.refresh_view()
            return

        def answered(text: str | None) -> None:
            if text:
                try:
                    body.look_for(Pattern(text))
                except ValueError as error:
                    self.say(str(error), "bad")
                self.refresh_view()

        self.push_screen(Sentence("/", "a text, or /an expression/ · enter finds · esc cancels"), answered)

    def action_seek(self, by: int) -> None:
        body = self.main.current.body
        if isinstance(body, SearchedView) and body.found:
            body.seek(by)
        else:
            self.say("Nothing is looked for in this pane: / asks what.", "warn")
        self.refresh_view()

    def on_searched_view_said(self, message: SearchedView.Said) -> None:
        self.say(message.text, message.role)
        self.refresh_view()

    def action_live(self) -> None:
        body = self.main.current.body
        if isinstance(body, SearchedView) and body.found:
            body.look_for(None)
            self.refresh_view()
            return
        if self.is_past and not self.main.is_zoomed:
            self.come_back()
            return
        if (self.selected is None or self.is_past) and self.main.is_zoomed:
            self.main.zoom()
        self.select(self.selected if self.is_past else None)

    def action_pane(self, name: str) -> None:
        self.main.go_to(name)
        self.refresh_view()

    def action_step(self, by: int) -> None:
        self.main.step(by)
        self.refresh_view()

    def action_zoom(self) -> None:
        self.main.zoom()
        self.refresh_view()

    def action_follow(self) -> None:
        self.main.log_pane.body.follow()

    def action_thoughts(self) -> None:
        self.main.log_pane.turn()
        self.main.go_to("log")
        self.refresh_view()

    def action_learnings(self) -> None:
        notes = self.main.notes_pane
        if self.main.current is notes or not notes.shows_learnings:
            notes.turn()
        self.main.go_to("notes")
        self.refresh_view()

    def action_diff_base(self) -> None:
        self.main.diff_pane.next_base()
        self.refresh_view()
