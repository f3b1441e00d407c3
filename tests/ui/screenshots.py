"""A picture of every page, light and dark, wide and narrow: python -m tests.ui.screenshots (by script/screenshots)."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scale_core.settings import CHECKOUT
from scale_server import postgres
from tests.journeys import scale_process
from tests.journeys.scale_process import Scale
from tests.ui.browser import NARROW, WIDE, browser, context, open_page
from tests.ui.pages import addresses
from tests.ui.world import World, make_world

LOOKS = {
    "wide-light": (WIDE, "light"),
    "wide-dark": (WIDE, "dark"),
    "narrow-light": (NARROW, "light"),
    "narrow-dark": (NARROW, "dark"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="script/screenshots")
    parser.add_argument("--into", type=Path, default=CHECKOUT / "var" / "screenshots", help="directory of the pictures")
    parser.add_argument("--look", action="append", choices=LOOKS, help="only these; all by default")
    parser.add_argument("pages", nargs="*", help="names as in tests/ui/pages.py; all by default")
    given = parser.parse_args()
    with _world() as (scale, world):
        take(scale.address, world, given.into, given.pages, given.look or list(LOOKS))


def take(address: str, world: World, into: Path, names: list[str], looks: list[str]) -> None:
    into.mkdir(parents=True, exist_ok=True)
    with browser() as running:
        for look in looks:
            viewport, theme = LOOKS[look]
            profile = context(running, address, viewport=viewport, color_scheme=theme)
            page = profile.new_page()
            for name, path in addresses(world).items():
                if names and name not in names:
                    continue
                open_page(page, path)
                page.wait_for_timeout(300)  # charts draw themselves once they know their width
                page.screenshot(path=into / f"{name}-{look}.png", full_page=True)
            profile.close()
    print(f"the pictures are in {into}")


@contextmanager
def _world() -> Iterator[tuple[Scale, World]]:
    with tempfile.TemporaryDirectory(prefix="scale-screenshots-") as directory:
        home = Path(directory) / "home"
        try:
            with scale_process.scale(home) as scale:
                yield scale, make_world(scale)
        finally:
            postgres.destroy(home)


if __name__ == "__main__":
    main()
