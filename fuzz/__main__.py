"""`python -m fuzz TARGET --seconds S --seed N`: made-up input, guided by the code that it reaches (atheris).

What breaks the target is kept in var/fuzz/TARGET, together with the input that reached new code. Exit status 77: found.
"""

from __future__ import annotations

import argparse
import sys

import atheris

with atheris.instrument_imports(include=["scale_core"]):
    from fuzz.targets import SEEDS, TARGETS
    from scale_core.settings import CHECKOUT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kept = CHECKOUT / "var" / "fuzz" / options.target
    kept.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[options.target]):
        (kept / f"seed-{number}").write_bytes(seed)
    limits = [
        f"-max_total_time={options.seconds}",
        f"-seed={options.seed}",
        "-max_len=4096",
        "-timeout=20",
        "-rss_limit_mb=1500",
    ]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={kept}/found-", str(kept)], TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
