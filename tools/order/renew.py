#!/usr/bin/env python3
"""Renews `functions.gz`: the names of the functions that a run executes, which the linker puts side by side.

    cargo rustc --release --locked --bin docmill -- -C strip=none
    python3 tools/order/renew.py target/release/docmill

A run executes some 10 MB of the program's 176 MB of code. Where they lie all over it, the system reads and keeps 64 KB around
each of them. `build.rs` has what the list is for.

Needs `qemu-x86_64` (`apt-get install qemu-user`), whose log has every block of code that was executed, and `nm`. A name carries
a hash of the compiler's version and of all that its crate depends on: with other ones fewer names are found and the
program is as large in memory as it would be without the list. `--found PROGRAM` says how many are.
"""

import bisect
import gzip
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = pathlib.Path(__file__).resolve().parent / "functions.gz"
BLOCK = re.compile(rb"^0x([0-9a-f]+):")
RUN = ["--ui", "none", "--format", "json"]
# Some ten thousand rows, from which on a table has all its indexes, built in pieces.
SMALL_CHUNKS = ["--set", "stages.chunk.tokens=48", "--set", "stages.chunk.overlap=8"]
MAPPED = re.compile(rb"^([0-9a-f]{16})-[0-9a-f]{16} ")


def functions(program):
    """Address, size and name of each function of a program that was not stripped."""
    out = subprocess.run(["nm", "-S", "--defined-only", program], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tTwW":
            yield int(parts[0], 16), int(parts[1], 16), parts[3]


def documents(directory, times):
    """The project's own documents, `times` over, in a few files."""
    directory.mkdir(exist_ok=True)
    texts = [path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))]
    for number in range(times):
        (directory / f"{number}.txt").write_text("\n\n".join(texts[number % 7 :] + texts[: number % 7]))
    for path in sorted((ROOT / "docs").glob("*.md")):
        (directory / path.name).write_text(path.read_text())


def executed(program, base):
    """The first address, relative to the program, of each block that some runs and searches executed."""
    many, few = base / "many", base / "few"
    for directory in (many, few):
        directory.mkdir()
        documents(directory / "documents", 6)
        (directory / "pipeline.toml").write_text((ROOT / "pipeline.toml").read_text())
    # A table of two thousand rows goes other ways than one of ten thousand.
    work = [
        (many, ["run", "documents", *RUN, *SMALL_CHUNKS]),
        (many, ["run", "documents", *RUN, *SMALL_CHUNKS]),
        (many, ["search", "chunk size"]),
        (few, ["run", "documents", *RUN]),
    ]
    found = set()
    for number, (directory, arguments) in enumerate(work):
        if number == 1:
            documents(many / "documents", 8)
        log = base / "log"
        command = ["qemu-x86_64", "-cpu", "max", "-d", "in_asm,page", "-D", log, program, *arguments]
        subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
        start, opens = None, False
        with open(log, "rb") as lines:
            for line in lines:
                if start is None and (mapped := MAPPED.match(line)):
                    start = int(mapped[1], 16)
                elif opens and (block := BLOCK.match(line)):
                    found.add(int(block[1], 16) - start)
                opens = line.startswith(b"IN:")
    return found


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--found":
        names = gzip.decompress(LIST.read_bytes()).decode().split()
        defined = {name for _, _, name in functions(sys.argv[2])}
        print(f"{sum(name in defined for name in names)} of {len(names)} names are in this program")
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = pathlib.Path(sys.argv[1]).resolve()
    known = sorted(functions(program))
    if not known:
        sys.exit("this program is stripped: build it with `-C strip=none`")
    starts = [start for start, _, _ in known]
    names, bytes_of_code = set(), 0
    with tempfile.TemporaryDirectory() as base:
        blocks = executed(program, pathlib.Path(base))
    for block in blocks:
        at = bisect.bisect_right(starts, block) - 1
        if at < 0:
            continue
        # Of several names of one place, always the same.
        at = bisect.bisect_left(starts, starts[at])
        if block < starts[at] + max(known[at][1], 1) and known[at][2] not in names:
            names.add(known[at][2])
            bytes_of_code += known[at][1]
    text = "".join(f"{name}\n" for name in sorted(names)).encode()
    LIST.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{len(names)} functions, {bytes_of_code / 1e6:.1f} MB of code, of {len(known)}")


main()
