"""Attacks a real server and prints what was promised beside what was measured.

    python tests/bench/attacks BINARY MODEL [--out FILE] [--only ROW ...]

Each row starts a server of its own. In most rows, a probe asks for the server's health every 100 ms on new connections, and
two streams run which were there before the attack. The columns "probe p99" (milliseconds), "failed" (probes) and "lost"
(tokens of those streams) are about them: promised are at most 50 ms, 0 and 0. "-" means that a row has no observer.
"""

import argparse
import asyncio
import os
import pathlib
import subprocess
import sys
import tempfile

import admission_rows  # noqa: F401  (the import of each module *_rows adds its rows to the table)
import answer_rows  # noqa: F401
import connection_rows  # noqa: F401
import grammar_rows  # noqa: F401
import held_rows  # noqa: F401
import log_rows  # noqa: F401
import memory_rows  # noqa: F401
import process_rows  # noqa: F401
import table
import template_rows  # noqa: F401
from client import ask
from observer import Observer
from rows import ROWS, CouldNotRun
from server import DidNotStart, Server

ROW_LIMIT = 60  # seconds
PROBE_P99_LIMIT = 50  # milliseconds
TITLES = {"held": "Held before, and to stay so", "templates": "Chat templates", "grammars": "Schemas and grammars"}


class Attack:
    """What a row works with: the server, and the observers beside it."""

    def __init__(self, binary, model, folder, server, observers):
        self.binary, self.model, self.folder, self.server = binary, model, folder, server
        self.observers = [(kind, self.observer(kind)) for kind in observers]
        self.observed = {}  # results of the observers, by kind

    def observer(self, kind):
        """Starts an observer of the server."""
        return Observer(kind, self.server.port, self.server.pid, self.server.keys.get("witness"))

    async def stop_observing(self):
        """Ends the observers. A row that ends its server calls this before."""
        observers, self.observers = self.observers, []
        results = await asyncio.gather(*(asyncio.to_thread(one.result) for _, one in observers))
        self.observed |= {kind: result for (kind, _), result in zip(observers, results, strict=True)}

    async def metric(self, name):
        """Returns the sum of a metric's values, or None if the server does not report it."""
        key = next(iter(self.server.keys.values()), None)
        try:
            async with asyncio.timeout(5):
                answer = await ask(self.server.port, "GET", "/metrics", key=key)
        except TimeoutError:
            answer = None
        lines = answer.body.decode().splitlines() if answer else []
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(values) if values else None

    def observed_cells(self):
        probe, witness = self.observed.get("probe"), self.observed.get("witness")
        cells = [f"{probe['p99']:.1f}", probe["failures"]] if probe else ["-", "-"]
        return [*cells, witness["lost"] if witness else "-"]

    def observed_well(self):
        probe, witness = self.observed.get("probe"), self.observed.get("witness")
        good = probe is None or (probe["p99"] <= PROBE_P99_LIMIT and probe["failures"] == 0)
        return good and (witness is None or witness["lost"] == 0)


async def run_row(row, attack):
    try:
        async with asyncio.timeout(ROW_LIMIT):
            return await row.run(attack)
    except TimeoutError:
        return f"not finished within {ROW_LIMIT} s", False
    except CouldNotRun:
        raise
    except Exception as error:  # an error in one row must not stop the rows after it
        return f"the attack ended with {type(error).__name__}: {error}", False
    finally:
        await attack.stop_observing()


def cells_of(row, binary, model):
    """Runs one row and returns its cells."""
    with tempfile.TemporaryDirectory() as folder:
        server = None
        try:
            server = Server(binary, model, pathlib.Path(folder), **row.server)
            attack = Attack(binary, model, pathlib.Path(folder), server, row.observers)
            measured, kept = asyncio.run(run_row(row, attack))
        except DidNotStart as problem:
            return [row.what, row.promised, problem, "-", "-", "-", "MISSED"]
        except CouldNotRun as reason:
            return [row.what, row.promised, f"could not run: {reason}", "-", "-", "-", "not run"]
        finally:
            if server:
                server.stop()
    verdict = "held" if kept and attack.observed_well() else "MISSED"
    return [row.what, row.promised, measured, *attack.observed_cells(), verdict]


def header(binary):
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{version}, {os.cpu_count()} cores, which the attackers share with the server; load average before: {load}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("model")
    parser.add_argument("--out", type=pathlib.Path, help="a file which also gets the table")
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=[row.name for row in ROWS], help="run only these rows")
    options = parser.parse_args()
    out = options.out.open("w") if options.out else None

    def write(text):
        for file in filter(None, (sys.stdout, out)):
            print(text, file=file, flush=True)

    write(header(options.binary))
    item = None
    counts = {}
    for row in sorted(ROWS, key=lambda row: row.item):
        if options.only and row.name not in options.only:
            continue
        if row.item != item:
            item = row.item
            title = TITLES.get(item, f"Item {item}")
            write(f"\n{title}\n{table.heading()}")
        write(table.rule())
        cells = cells_of(row, options.binary, options.model)
        counts[cells[-1]] = counts.get(cells[-1], 0) + 1
        write(table.line_of(cells))
    write("\n" + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
