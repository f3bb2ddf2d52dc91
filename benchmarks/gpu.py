"""Is training right and fast on this machine's GPU? One table in less than eight minutes.

    python -m benchmarks.gpu [--only PART ...] [--json [FILE]] [--rehearse]

Each part has its own process and time limit: a part that fails, hangs or breaks the GPU's context ends with a row and does not affect the
others.
docs/gpu.md says what each row means. --rehearse measures tiny amounts, on the CPU if there is no GPU: it shows that the command works,
and its numbers mean nothing. Exits with 1 if something failed or was off (a rehearsal: only if something failed), 2 without a usable GPU.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_parts import PARTS, REHEARSAL, Amounts, Bench, Part, Row
from gan.accelerators import accelerator
from gan.devices import choose_device, cores
from gan.files import write_atomically

SPARE = 0.85  # of a part's time: after it, no further unit starts
COLUMNS = ("part", "what", "measured", "against", "ratio", "", "note")


def measure(name: str, part: Part, setup: Bench, started: float) -> Iterator[Row]:
    """A part's rows, in this process. A unit that fails gives a row; units that would start too late are left out, each with a row.

    started: time.perf_counter() when the part's time began.
    """
    for what, unit in part.units(setup):
        if time.perf_counter() - started > SPARE * part.limit_s:
            yield Row(name, what, verdict="left out", note=f"the part's {part.limit_s:g} s were over")
            continue
        try:
            yield from unit()
        except Exception as error:
            traceback.print_exc()  # to standard error; the row has the first line
            yield Row(name, what, verdict="failed", note=_first_line(error))


def measure_apart(name: str, limit_s: float, command: list[str]) -> list[Row]:
    """A part's rows from its own process, which writes one JSON object per line. However it ends, the rows it wrote are kept."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s)
        output, errors, end = done.stdout, done.stderr, "" if done.returncode == 0 else f"its process ended with {done.returncode}"
    except subprocess.TimeoutExpired as late:
        output, errors, end = late.stdout or b"", late.stderr or b"", f"ended after {limit_s:g} s, its limit"
    rows = []
    for line in output.decode(errors="replace").splitlines():
        try:
            rows.append(Row(**json.loads(line)))
        except (ValueError, TypeError):  # a library's own output, or a row that was cut
            print(line, file=sys.stderr)
    if end or any(row.verdict == "failed" for row in rows):
        sys.stderr.write(errors.decode(errors="replace"))
    if end:
        rows.append(Row(name, "the part", verdict="failed", note=end))
    return rows


def table(rows: Iterable[Row]) -> str:
    """The rows in columns."""
    lines = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = f"{row.value / row.against:.3g}" if row.value is not None and row.against else ""
    measured = f"{_number(row.value)} {row.unit}".strip() if row.value is not None else ""
    return row.part, row.what, measured, _number(row.against), "" if row.verdict in ("ok", "off") else ratio, row.verdict, row.note


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """The machine and software of the measurement."""
    facts = accelerator().facts
    return {
        "gpu": facts.name,
        "capability": ".".join(map(str, facts.capability or ())),
        "memory_gib": round((facts.total or 0) / 2**30, 1),
        "driver": facts.driver,
        "torch": facts.torch,
        "cuda": facts.cuda,
        "cudnn": torch.backends.cudnn.version() if accelerator().usable else None,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": cores(),
    }


def report(rows: list[Row], seconds: float, rehearsed: bool) -> dict[str, Any]:
    return {"rehearsed": rehearsed, "seconds": round(seconds, 1), "machine": machine(), "rows": [asdict(row) for row in rows]}


def status(rows: list[Row], rehearsed: bool) -> int:
    """1 if something failed or was off; the numbers of a rehearsal mean nothing."""
    bad = {"failed"} if rehearsed else {"failed", "off"}
    return int(any(row.verdict in bad for row in rows))


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"


def main() -> int:
    started = time.perf_counter()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    about = "; ".join(f"{name}: {part.about}" for name, part in PARTS.items())
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=f"Measure only this part; may be repeated. {about}.")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="The table as JSON, too: into a file, or to standard output instead."
    )
    parser.add_argument("--rehearse", action="store_true", help="Tiny amounts, on the CPU if there is no GPU.")
    parser.add_argument("--child", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        device = choose_device("auto" if options.rehearse else "cuda")
    except ValueError as error:
        print(f"{error}. --rehearse tries the command on the CPU.", file=sys.stderr)
        return 2
    if options.child:
        setup = Bench(device, REHEARSAL if options.rehearse else Amounts())
        for row in measure(options.child, PARTS[options.child], setup, started):
            print(json.dumps(asdict(row)), flush=True)
        return 0
    rows: list[Row] = []
    for name in options.only or PARTS:
        command = [sys.executable, "-m", "benchmarks.gpu", "--child", name, *(["--rehearse"] if options.rehearse else [])]
        begun = time.perf_counter()
        rows += measure_apart(name, PARTS[name].limit_s, command)
        print(f"{name}: {PARTS[name].about}, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    found = report(rows, time.perf_counter() - started, options.rehearse)
    text = json.dumps(found, indent=1)
    if options.json != "-":
        print("\n".join(f"{key}: {value}" for key, value in found["machine"].items() if value))
        print(f"\n{table(rows)}\n\n{found['seconds']:g} s" + (" (a rehearsal: these figures mean nothing)" if options.rehearse else ""))
    if options.json == "-":
        print(text)
    elif options.json:
        with write_atomically(Path(options.json)) as file:
            file.write(text.encode() + b"\n")
    return status(rows, options.rehearse)


if __name__ == "__main__":
    sys.exit(main())
