"""A driver in a process of its own, as importing pymesos installs a signal handler: it echoes what it is told to send.

Each line of stdin is a status update as JSON, or "stop"; each callback is a line of stdout.
"""

import json
import os
import sys
from typing import Any

from scale_worker.executor.driver import ExecutorDriver


def say(*words: Any) -> None:
    os.write(1, f"{json.dumps(words)}\n".encode())  # in one piece: several threads talk


class Echo:
    def __getattr__(self, name: str) -> Any:
        def callback(driver: Any, *arguments: Any) -> None:
            say(name, *arguments)

        return callback


def main() -> None:
    driver = ExecutorDriver(Echo())
    driver.start()
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        driver.sendStatusUpdate(json.loads(line))
        say("taken")
    say("flushed", driver.flush(10))
    driver.stop()
    driver.join()
    say("joined")


if __name__ == "__main__":
    main()
