"""Brings the database to what this version of Scale needs: its tables, Scale's own rows, the borders of countries.

`python -m scale_core.upgrade` is `alembic upgrade head` and `python -m scale_core.seed` in one process, because most of
what each takes is loading the same modules. With `--check` it then also looks whether people may come in
(scale_core/admin.py); NOBODY_COULD_SIGN_IN is its exit status for that alone.
"""

from __future__ import annotations

import argparse
import sys

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from scale_core import admin, seed
from scale_core.errors import NOBODY_COULD_SIGN_IN, ScaleError
from scale_core.settings import CHECKOUT


def main(arguments: list[str] | None = None) -> int:
    """Upgrade the database of SCALE_DATABASE_URL. A step that fails raises: its traceback says which.

    A database that is away, or lets nobody in, is a sentence: units of systemd ask again and again.
    """
    parser = argparse.ArgumentParser(prog="python -m scale_core.upgrade", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when other machines can reach Scale and nobody may")
    options = parser.parse_args(arguments)
    try:
        command.upgrade(Config(CHECKOUT / "alembic.ini"), "head")
        seed.main()
    except ScaleError as error:
        print(error, file=sys.stderr)
        return 1
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) is not None:  # it answered
            raise
        print(f"PostgreSQL: {' '.join(str(error.orig).split())}", file=sys.stderr)
        return 1
    if options.check and admin.main(["check"]):
        return NOBODY_COULD_SIGN_IN
    return 0


if __name__ == "__main__":
    sys.exit(main())
