"""Takes the README's pictures anew, of a real session: ``make pictures``.

The session is a demo's, made where it is missing and gone on with where it is there; while its next run trains, the
real screen is opened over it and drawn into a PNG, and then its chart and its page. Needs a font with a terminal's
characters, Fira Code (Debian: fonts-firacode), and for the page Chromium.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import resvg_py

from engine import commands, launch, ledger
from engine.presence import engine_of
from engine.workspace import Workspace
from tests.engine.browser import chromium, programs
from tui import theme
from tui.app import Viewer

PICTURES = Path(__file__).resolve().parent.parent / "assets" / "pictures"
EXPERIMENTS = 24
"""That the session has when its picture is taken."""
HALF_WAY = 50.0
"""Percent of the run that is on the screen."""
FONT = "Fira Code"
FONTS = Path("/usr/share/fonts")
SCREENS = {"session": ((150, 44), ()), "small": ((80, 24), ("2",))}
"""Each picture's cells, and the keys that were pressed before it."""
PAGE = (1200, 1000)
"""The pixels of the page's picture."""
PROGRAM = Path(sys.executable).parent / "autoresearch-tui"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("workspace", nargs="?", default="workspaces/pictures", type=Path)
    workspace = Workspace.at(parser.parse_args().workspace)
    if not list(FONTS.rglob("FiraCode-Regular.ttf")):
        sys.exit(f"{FONT} is not installed: `apt-get install fonts-firacode`.")
    subprocess.run([PROGRAM, "demo", workspace.root, "--headless", "--experiments", str(EXPERIMENTS)], check=True)
    PICTURES.mkdir(exist_ok=True)
    take_screens(workspace)
    subprocess.run([PROGRAM, "export", workspace.root, "-o", PICTURES / "chart.png", "--force"], check=True)
    take_page(workspace)


def take_screens(workspace: Workspace) -> None:
    """Pictures of the screen while a run trains; the run counts like any other."""
    recorded = len(ledger.read(workspace.ledger).experiments)
    launch.start_detached(workspace, experiments=recorded)
    try:
        for name, (size, keys) in SCREENS.items():
            drawn = asyncio.run(_screen(workspace, size, keys))
            (PICTURES / f"{name}.png").write_bytes(_png(drawn))
            print(PICTURES / f"{name}.png")
    finally:
        if engine_of(workspace):
            commands.send(workspace, commands.Stop(now=False))


async def _screen(workspace: Workspace, size: tuple[int, int], keys: tuple[str, ...]) -> str:
    """The screen over a run that is half through, as Textual draws it."""
    app = Viewer(workspace)
    async with app.run_test(size=size) as pilot:
        app.theme = theme.CALM.name
        while not _is_half_way(app):
            if engine_of(workspace) is None:
                sys.exit(f"The engine of {workspace.root} has ended: {workspace.engine_log} says why.")
            await asyncio.sleep(0.2)
        await pilot.press(*keys)
        await pilot.pause(1.0)
        return app.export_screenshot(title="autoresearch-tui")


def _is_half_way(app: Viewer) -> bool:
    progress = app.state.progress
    return app.state.is_training and progress is not None and (progress.percent or 0.0) >= HALF_WAY


def _png(svg: str) -> bytes:
    """Textual's picture with the fonts of this machine: its own are on a server."""
    drawn: bytes = resvg_py.svg_to_bytes(
        svg_string=re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL),
        font_dirs=[str(FONTS)],
        font_family=FONT,
        monospace_family=FONT,
    )
    return drawn


def take_page(workspace: Workspace) -> None:
    """The report's first screen, in a browser; left as it is where there is none."""
    if programs() is None:
        print("Chromium is not installed: page.png stays as it is.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory) / "report.html"
        subprocess.run([PROGRAM, "export", workspace.root, "-o", page], check=True, stdout=subprocess.DEVNULL)
        with chromium(Path(directory) / "profile") as browser:
            browser.resize(*PAGE)
            browser.prefer("light")
            browser.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            browser.open(page.as_uri())
            browser.driver.save_screenshot(str(PICTURES / "page.png"))
    print(PICTURES / "page.png")


if __name__ == "__main__":
    main()
