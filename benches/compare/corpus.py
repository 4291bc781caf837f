"""The documents of the comparison, the same on every machine."""

import pathlib
import random
import re
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sentences():
    """English as people write it: the sentences of this project's documents."""
    found = set()
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/documents/*.txt")]):
        text, fenced = [], False
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines():
            fenced ^= line.lstrip().startswith("```")
            if not fenced and not re.match(r"\s*(```|\||#|<|\d|[-*+:] )", line):
                text.append(line.strip())
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(text)):
            if 40 < len(sentence) < 400 and sentence[-1] in ".!?":
                found.add(re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", sentence))
    return sorted(found)


def prose(size, seed):
    """Those sentences in an order of their own, in paragraphs of plausible lengths."""
    dice = random.Random(seed)
    pool = sentences()
    text, length = [], 0
    while length < size:
        text.append(" ".join(dice.choice(pool) for _ in range(dice.randint(3, 8))))
        length += len(text[-1]) + 2
    return "\n\n".join(text)[:size]


def make(directory, case, pdf):
    """Writes the documents of a case, unless they are there, and says where."""
    place = pathlib.Path(directory) / case
    if place.exists() and case != "pdf":
        return place
    parts = {"one": (1, 10 << 20), "five": (5, 10 << 20), "many": (600, 32_000)}
    if case == "pdf":
        if not pdf:
            raise SystemExit("case `pdf` needs --pdf DIRECTORY: documents of your own")
        return pathlib.Path(pdf).resolve()
    unfinished = place.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    count, size = parts[case]
    for number in range(count):
        (unfinished / f"{number:03}.txt").write_text(prose(size, number + 1), encoding="utf-8")
    unfinished.rename(place)
    return place
