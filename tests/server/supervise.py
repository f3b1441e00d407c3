"""Runs a Procfile until SIGTERM: ``python -m tests.server.supervise PROCFILE LOGS MOST_IN_A_ROW``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from scale_server.supervisor import ProcessGaveUp, RestartPolicy, Supervisor, read_procfile


def main(procfile: str, logs: str, most_in_a_row: str) -> int:
    supervisor = Supervisor(
        read_procfile(Path(procfile)),
        dict(os.environ),
        Path(logs),
        Path.cwd(),
        lambda name, line: print(f"{name}: {line}", flush=True),
        RestartPolicy(first_delay_s=0.01, longest_delay_s=0.05, most_in_a_row=int(most_in_a_row)),
        stop_timeout_s=1.0,
    )
    signal.signal(signal.SIGTERM, lambda number, frame: supervisor.request_stop())
    supervisor.start()
    try:
        supervisor.run()
    except ProcessGaveUp as error:
        print(f"gave up: {error}", flush=True)
        return 1
    finally:
        supervisor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
