"""A CSV feed of readings becomes daily statistics: one row per UTC day and station.

usage: summarise_days.py READINGS.csv OUTPUT_DIR

The feed has a header and the columns time (ISO 8601 with its zone), station, value; more columns do no harm. A value
that is empty is a gap. Exit codes: 2 the feed lacks a column, 3 a row cannot be read, 4 there is nothing in it.
"""

import csv
import json
import math
import statistics
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

COLUMNS = ("time", "station", "value")
NO_COLUMN, BAD_ROW, EMPTY = 2, 3, 4


def fail(code, message):
    print(message, file=sys.stderr)
    sys.exit(code)


def read(path):
    """(moment in UTC, station, value or None) of each row."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            fail(NO_COLUMN, f"{path}: no column {', '.join(missing)}; the header is {rows.fieldnames}")
        for row in rows:
            yield read_row(path, rows.line_num, row)


def read_row(path, line, row):
    try:
        moment = datetime.fromisoformat(row["time"])
        value = float(row["value"]) if row["value"].strip() else None
    except (ValueError, AttributeError) as error:
        fail(BAD_ROW, f"{path}, line {line}: {error}")
    if moment.tzinfo is None:
        fail(BAD_ROW, f"{path}, line {line}: {row['time']} has no time zone")
    if value is not None and not math.isfinite(value):
        fail(BAD_ROW, f"{path}, line {line}: {row['value']} is no reading")
    return moment.astimezone(UTC), row["station"], value


def summarise(readings):
    """One dict per day and station, ordered by both."""
    days = defaultdict(lambda: {"values": [], "gaps": 0})
    for moment, station, value in readings:
        day = days[moment.date().isoformat(), station]
        if value is None:
            day["gaps"] += 1
        else:
            day["values"].append(value)
    return [summary(day, station, **found) for (day, station), found in sorted(days.items())]


def summary(day, station, values, gaps):
    figures = {"least": "", "mean": "", "greatest": "", "deviation": ""}
    if values:
        figures = {
            "least": min(values),
            "mean": round(statistics.fmean(values), 6),
            "greatest": max(values),
            "deviation": round(statistics.pstdev(values), 6),
        }
    return {"day": day, "station": station, "readings": len(values), "gaps": gaps, **figures}


def main(path, output_dir):
    readings = list(read(path))
    if not readings:
        fail(EMPTY, f"{path}: there is no row below the header")
    rows = summarise(readings)
    output = Path(output_dir) / f"{Path(path).stem}_daily.csv"
    with output.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    moments = [moment for moment, _, _ in readings]
    times = {"data_started": min(moments).isoformat(), "data_ended": max(moments).isoformat()}
    manifest = {
        "version": "1.1",
        "output_data": [{"name": "statistics", "file": {"path": str(output), "geo_metadata": times}}],
    }
    (Path(output_dir) / "results_manifest.json").write_text(json.dumps(manifest))
    print(f"{output.name}: {len(readings)} readings, {len(rows)} rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
