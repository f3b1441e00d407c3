"""The executor process that a Mesos agent starts on each node: ``python -m scale_worker.executor``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from scale_core import VERSION, history, logs
from scale_core.errors import ConfigurationError
from scale_core.settings import Settings
from scale_worker.executor import cgroups, orphans
from scale_worker.executor.containers import Engine
from scale_worker.executor.driver import ExecutorDriver
from scale_worker.executor.execution import Node
from scale_worker.executor.gpus import Gpus
from scale_worker.executor.node import NodeExecutor

log = logging.getLogger("scale_worker.executor")


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end. Exit status 2: a setting is wrong, or no agent started it."""
    parser = argparse.ArgumentParser(prog="python -m scale_worker.executor", description=__doc__)
    parser.add_argument("--version", action="version", version=f"Scale {VERSION}")
    parser.parse_args(arguments)
    try:
        settings = Settings.from_environ()
    except ConfigurationError as error:
        print(f"executor: {error}", file=sys.stderr)
        return 2
    logs.configure("executor", settings.log_level, settings.log_format)
    history.configure("executor", settings.history_dir)
    missing = [
        name for name in ("MESOS_AGENT_ENDPOINT", "MESOS_FRAMEWORK_ID", "MESOS_EXECUTOR_ID") if not os.environ.get(name)
    ]
    if missing:
        log.error("%s not set: this program is started by a Mesos agent, not by hand", ", ".join(missing))
        return 2
    return run(settings)


def run(settings: Settings) -> int:
    sandbox = Path(os.environ.get("MESOS_SANDBOX") or os.environ.get("MESOS_DIRECTORY") or ".").absolute()
    labels = {
        "scale.framework": os.environ["MESOS_FRAMEWORK_ID"],
        "scale.executor": os.environ["MESOS_EXECUTOR_ID"],
        "scale.node": os.environ.get("MESOS_SLAVE_ID", ""),
        orphans.OWNER_LABEL: orphans.owner(),
    }
    guard = orphans.Guard(labels[orphans.OWNER_LABEL], history.path())
    engine = Engine(settings)
    log.info("killed %s stale process groups", orphans.kill_stale_processes(sandbox))
    orphans.remove_stale_files(sandbox)
    cgroups.remove_stale()
    node = Node(settings, engine, labels, guard.started, guard.ended, gpus=Gpus.of_machine(settings.node_gpus))
    ended = threading.Event()
    executor = NodeExecutor(node, sandbox, stopped=ended.set)
    driver = ExecutorDriver(executor)
    for number in (signal.SIGTERM, signal.SIGINT):
        # On a thread: a handler runs wherever the main thread happens to be, locks held.
        signal.signal(number, lambda *_: threading.Thread(target=executor.shutdown, args=[driver]).start())
    driver.start()
    removed = orphans.remove_stale_containers(engine, labels)
    if removed:
        log.warning("removed containers that a former executor left: %s", ", ".join(removed))
    threading.Thread(target=executor.watch_node, args=[driver], name="node", daemon=True).start()
    ended.wait()
    driver.stop()
    log.info("ended")
    # Threads of executions that resist must not keep the process; the guardian ends what they run.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
