#!/usr/bin/env python3
"""Measures the text that docmill's PDF readers give against pdftotext's and PyMuPDF's.

Texts of docmill are made by the example `parse_dir`; those of the two others are made here. What is compared is the bag of
words of a file: NFKC, lower case, runs of letters and digits; Chinese, Japanese and Korean by the character, since
nothing separates their words. Of two bags, F1 is the harmonic mean of how much of each is in the other. A file counts
where pdftotext finds at least `--least` words and all three give text or `--all` is set, in which case no text is F1 0.

    cargo build --release -p docmill-parse --example parse_dir
    target/release/examples/parse_dir DIRECTORY --texts=TEXTS
    pip install pymupdf==2.0
    python3 tools/quality/pdf_quality.py DIRECTORY TEXTS

Figures in the documentation were made with pdftotext 22.12.0 (poppler-utils of Debian 12) and PyMuPDF 2.0. PyMuPDF is
AGPL and is a yardstick here alone: docmill neither links nor ships it.
"""

import argparse
import re
import statistics
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

# A word, or one character of a script that is written without blanks.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def bag(text: str) -> Counter:
    """The words of a text, counted; words that a hyphen cuts at a line's end are made whole, in all texts alike."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"(?<=\w)[-\u2010\u00ad]\n\s*(?=[a-z\u00df-\u00ff])", "", text)
    return Counter(WORD.findall(text))


def f1(one: Counter, other: Counter) -> float:
    """How far two bags agree, from 0 to 1."""
    common = sum((one & other).values())
    return 2 * common / (one.total() + other.total()) if common else 0.0


def by_pdftotext(path: Path) -> str:
    """What pdftotext gives, or nothing."""
    command = ["pdftotext", "-enc", "UTF-8", str(path), "-"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return run.stdout.decode("utf-8", "replace")


def by_pymupdf(path: Path) -> str:
    """What PyMuPDF gives, or nothing."""
    import pymupdf

    pymupdf.TOOLS.mupdf_display_errors(False)
    try:
        with pymupdf.open(path) as document:
            return "\n".join(page.get_text() for page in document)
    except Exception:  # The yardstick's failure is a figure, not an end: its classes of errors vary by version.
        return ""


def own_text(path: Path) -> str:
    """docmill's text of a file: of a form what was filled in, which a page shows, and no notes, which it does not."""
    if not path.exists():
        return ""
    text = re.sub(r"^Annotation: .*$", "", path.read_text("utf-8"), flags=re.MULTILINE)
    return re.sub(r"^Form: .*? = ", "", text, flags=re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("directory", type=Path, help="the PDFs")
    parser.add_argument("texts", type=Path, help="docmill's texts, NAME.pdf.txt")
    parser.add_argument("--least", type=int, default=5, help="words that a file has to have (5)")
    parser.add_argument("--all", action="store_true", help="count files that one of the others finds no text in as 0")
    parser.add_argument("--worst", type=int, default=15, help="how many of the worst files are listed (15)")
    arguments = parser.parse_args()
    rows = []
    for path in sorted(arguments.directory.rglob("*.[pP][dD][fF]")):
        reference = bag(by_pdftotext(path))
        if reference.total() < arguments.least:
            continue
        own, mupdf = bag(own_text(arguments.texts / f"{path.name}.txt")), bag(by_pymupdf(path))
        if not arguments.all and not (own.total() and mupdf.total()):
            print(f"left out: {path.name}: {reference.total()} words, docmill {own.total()}, PyMuPDF {mupdf.total()}")
            continue
        rows.append((f1(own, reference), f1(mupdf, reference), f1(own, mupdf), reference.total(), path.name))
    if not rows:
        print("no file with text", file=sys.stderr)
        return 1
    print("docmill  PyMuPDF  to PyMuPDF  words  file")
    for own, mupdf, between, words, name in sorted(rows)[: arguments.worst]:
        print(f"  {own:.3f}    {mupdf:.3f}       {between:.3f}  {words:5}  {name}")
    columns = list(zip(*rows))[:3]
    means = [statistics.mean(column) for column in columns]
    tenths = [sorted(column)[len(rows) // 10] for column in columns]
    print(f"{len(rows)} files, word F1, mean (lowest tenth below):")
    print(f"  docmill to pdftotext  {means[0]:.4f} ({tenths[0]:.3f})")
    print(f"  PyMuPDF to pdftotext  {means[1]:.4f} ({tenths[1]:.3f})")
    print(f"  docmill to PyMuPDF    {means[2]:.4f} ({tenths[2]:.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
