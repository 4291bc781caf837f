#!/usr/bin/env python3
"""Accounts for a directory of documents: what became of every file, by format, as a Markdown table.

    tools/quality/formats.py DOCMILL CORPUS > table.md

DOCMILL is the program, CORPUS a directory whose subdirectories are formats. Each is run through the default stages into
a JSON-lines store in a temporary directory; the table is made from the run's own report, which names every document that
failed or was skipped. Needs nothing beyond Python's standard library.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

PIPELINE = """
[run]
state = "state"
[stages.source]
kind = "files"
hidden = true
ignore_files = false
[stages.download]
kind = "download"
inputs = ["source"]
max_bytes = "64MiB"
[stages.parse]
kind = "parse"
inputs = ["download"]
isolation = "process"
memory = "1GiB"
[stages.chunk]
kind = "chunk"
inputs = ["parse"]
[stages.embed]
kind = "embed"
inputs = ["chunk"]
[stages.store]
kind = "jsonl"
inputs = ["embed"]
dir = "rows"
vectors = false
"""


def run(program: str, directory: pathlib.Path) -> dict:
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = pathlib.Path(scratch) / "pipeline.toml"
        pipeline.write_text(PIPELINE)
        command = [program, "run", str(pipeline), str(directory), "--format", "json", "--ui", "none"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
        if done.returncode not in (0, 1):
            sys.exit(f"{directory.name}: exit {done.returncode}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)


def short(reason: str) -> str:
    """A reason without what differs from file to file."""
    reason = re.sub(r"`[^`]*`", "`…`", reason)
    reason = re.sub(r"\d[\d,.]*(?: ?[KMGT]i?B)?", "N", reason)
    return reason if len(reason) <= 70 else reason[:67] + "…"


def reasons(entries: list, key: str) -> str:
    counts = collections.Counter(short(entry[key]) for entry in entries)
    return "; ".join(f"{count} {reason}" for reason, count in counts.most_common(6)) or ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("corpus", type=pathlib.Path)
    arguments = parser.parse_args()
    print("| format | files and documents inside | done | skipped | failed | s | why |")
    print("|---|---|---|---|---|---|---|")
    total = collections.Counter()
    for directory in sorted(path for path in arguments.corpus.iterdir() if path.is_dir()):
        report = run(arguments.program, directory)
        counts = report["documents"]
        parts = sum(counts[key] for key in ("done", "unchanged", "skipped", "failed", "cancelled", "unfinished"))
        assert counts["seen"] == parts, (directory, counts)
        total.update(counts)
        why = [("skipped", reasons(report["skips"], "reason")), ("failed", reasons(report["failures"], "error"))]
        text = "; ".join(f"{word}: {reason}" for word, reason in why if reason).replace("|", "\\|")
        print(f"| {directory.name} | {counts['seen']} | {counts['done']} | {counts['skipped']} | {counts['failed']} "
              f"| {report['seconds']:.1f} | {text} |", flush=True)
    print(f"| all | {total['seen']} | {total['done']} | {total['skipped']} | {total['failed']} | | |")


if __name__ == "__main__":
    main()
