#!/usr/bin/env python3
"""The same documents through docmill and through what a user would pick instead, from files to rows in a LanceDB table.

    cargo build --release
    python3 benches/compare/compare.py --docmill target/release/docmill

Every tool has an environment of its own, made from pinned versions at the first run (`--install` makes them and ends, so that
what follows needs no network). Every run is a process of its own with an empty table; tools take turns, so that a busy
moment of the machine meets them all. The same model file, chunk size and store for all. A ratio is printed only where the
outputs are comparable: as many documents, and within a fifth as many tokens in chunks of about the same length.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import corpus

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "stages" / "embed" / "model"
CONFIG = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": 256, "seq_length": 1000000, "normalize": True, "pooling": "mean", "max_length": 512, "embedding_dtype": "int8", "apply_pca": 384, "sif_coefficient": 0.0003, "tokenizer_name": "all-MiniLM-L6-v2"}
CASES = {
    "one": "one text file of 10 MiB",
    "five": "five text files of 10 MiB",
    "many": "600 text files, 19 MB",
    "pdf": "PDF files",
}
# Name, environment, script, more arguments, cases.
TOOLS = {
    "Python pipeline": ("python", "python_pipeline.py", [], {"one", "five", "many", "pdf"}),
    "Python pipeline, PyMuPDF4LLM": ("python", "python_pipeline.py", ["--pdf", "pymupdf4llm"], {"pdf"}),
    "LlamaIndex": ("llamaindex", "llamaindex.py", [], {"one", "many", "pdf"}),
    "LangChain": ("langchain", "langchain_loaders.py", [], {"one", "many", "pdf"}),
    "Kreuzberg": ("kreuzberg", "kreuzberg_pipeline.py", [], {"one", "five", "many", "pdf"}),
    "Haystack": ("haystack", "haystack_pipeline.py", [], {"one", "many", "pdf"}),
    "Swiftide": ("swiftide", None, [], {"one", "five", "many"}),
}
# How far outputs may differ and still be called the same work: splitters and PDF readers differ by some.
TOKENS = 0.2
LENGTH = 0.5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docmill", default="docmill", help="the program to compare (docmill)")
    parser.add_argument("--tools", help="only these, by the beginning of their names, separated by commas")
    parser.add_argument("--cases", default="one,five,many", help="one, five, many, pdf (one,five,many)")
    parser.add_argument("--pdf", help="a directory of PDF files, for the case `pdf`")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (5)")
    parser.add_argument("--cache", type=pathlib.Path, help="environments and documents (a cache in the home directory)",
                        default=pathlib.Path.home() / ".cache" / "docmill" / "compare")
    parser.add_argument("--install", action="store_true", help="only install the tools")
    return parser.parse_args()


def install(cache, name):
    """What runs the scripts of a tool, or the tool itself: made where it is missing or its pins have changed."""
    if name == "swiftide":
        return build(cache / name)
    place, pins = cache / name, HERE / "requirements" / f"{name}.txt"
    mark = place / "pins.txt"
    if not mark.exists() or mark.read_text() != pins.read_text():
        print(f"installing {name} ...", file=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin" / "python", "-m", "pip", "install", "-q", "-r", pins], check=True)
        mark.write_text(pins.read_text())
    return place / "bin" / "python"


def build(place):
    """The one tool that is not Python, built from its locked sources; what is built already is not built again."""
    print("building swiftide, which takes as long as docmill where it was not built before ...", file=sys.stderr)
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", place]
    subprocess.run(command, cwd=HERE / "swiftide", check=True)
    return place / "release" / "swiftide-pipeline"


def model(cache):
    """The model's files with the one that model2vec wants beside them."""
    place = cache / "model"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(MODEL / name, place / name)
    (place / "config.json").write_text(json.dumps(CONFIG))
    return place


def vocabulary(cache):
    """The directory of tiktoken's vocabularies that a release of LlamaIndex carries: tiktoken itself would download them."""
    found = next((cache / "llamaindex").rglob("tiktoken_cache"), None)
    return {"TIKTOKEN_CACHE_DIR": str(found)} if found else {}


def measure(command, directory, more):
    """Runs a command to its end: wall and CPU seconds, peak memory in MB, and what it printed."""
    environment = dict(os.environ, HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="true", **more)
    with open(directory / "out", "w+b") as out, open(directory / "err", "w+b") as error:
        begun = time.perf_counter()
        child = subprocess.Popen(command, cwd=directory, stdout=out, stderr=error, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        error.seek(0)
        said, wrong = out.read().decode(errors="replace"), error.read().decode(errors="replace")
    return child.returncode, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, said, wrong


def run_docmill(program, documents, directory):
    shutil.copy(HERE / "pipeline.toml", directory / "pipeline.toml")
    command = [program, "run", "--ui", "none", "--format", "json", str(documents)]
    code, wall, cpu, _, said, wrong = measure(command, directory, {})
    # 1: done, and some documents failed, as broken files do with every tool.
    if code not in (0, 1):
        raise SystemExit(f"docmill ended with {code}: {wrong}")
    report = json.loads(said)
    made = {"documents": report["documents"]["done"], "chunks": report["rows"], "tokens": report["tokens"]}
    # Its children are in its own figure of peak memory, and not in the operating system's.
    return {"wall": wall, "cpu": cpu, "memory": report["peak_rss_bytes"] / 1e6, "made": made}


def run_tool(runner, script, more, documents, directory, environment, model):
    begin = [runner, HERE / "tools" / script] if script else [runner]
    command = [*begin, "--input", documents, "--store", directory / "lance", "--model", model, *more]
    code, wall, cpu, memory, said, wrong = measure(command, directory, environment)
    if code != 0:
        raise SystemExit(f"{script or runner.name} ended with {code}: {wrong[-2000:]}")
    return {"wall": wall, "cpu": cpu, "memory": memory, "made": json.loads(said.splitlines()[-1])}


def comparable(ours, other):
    """Why two outputs are not the same work, or nothing."""
    if other["documents"] != ours["documents"] and abs(other["documents"] - ours["documents"]) > 0.1 * ours["documents"]:
        return f"{other['documents']} documents, not {ours['documents']}"
    if abs(other["tokens"] / ours["tokens"] - 1) > TOKENS:
        return f"{other['tokens']} tokens, not {ours['tokens']}"
    length = (other["tokens"] / other["chunks"]) / (ours["tokens"] / ours["chunks"])
    return None if 1 - LENGTH < length < 1 + LENGTH else f"chunks {length:.2f} times as long"


def spread(runs, key, digits):
    values = sorted(run[key] for run in runs)
    return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f} to {values[-1]:.{digits}f})"


def table(case, results):
    ours = results["docmill"]
    print(f"\n{CASES[case]}\n")
    print("| | wall, s | CPU, s | peak memory, MB | documents, chunks, tokens | docmill is faster |")
    print("|---|---|---|---|---|---|")
    for name, runs in results.items():
        made = runs[0]["made"]
        reason = comparable(ours[0]["made"], made)
        ratio = statistics.median(run["wall"] for run in runs) / statistics.median(run["wall"] for run in ours)
        verdict = "" if name == "docmill" else f"not comparable: {reason}" if reason else f"{ratio:.1f} times"
        counts = f"{made['documents']:,}, {made['chunks']:,}, {made['tokens']:,}"
        print(f"| {name} | {spread(runs, 'wall', 2)} | {spread(runs, 'cpu', 2)} | {spread(runs, 'memory', 0)} | {counts} "
              f"| {verdict} |", flush=True)


def main():
    options = arguments()
    tools = {name: tool for name, tool in TOOLS.items()
             if not options.tools or any(name.startswith(wanted) for wanted in options.tools.split(","))}
    environments = sorted({tool[0] for tool in tools.values()} | {"llamaindex"})
    runners = {name: install(options.cache, name) for name in environments}
    if options.install:
        return
    program = shutil.which(options.docmill)
    if program is None:
        raise SystemExit(f"no program `{options.docmill}`: build it, and name it with --docmill")
    program = str(pathlib.Path(program).resolve())
    environment, files = vocabulary(options.cache), model(options.cache)
    print(f"{os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}, "
          f"{subprocess.run([program, '--version'], capture_output=True, text=True, check=True).stdout.strip()}")
    for case in options.cases.split(","):
        documents = corpus.make(options.cache / "documents", case, options.pdf)
        results = {"docmill": []} | {name: [] for name, tool in tools.items() if case in tool[3]}
        for number in range(options.runs):
            for name in results:
                with tempfile.TemporaryDirectory() as directory:
                    directory = pathlib.Path(directory)
                    if name == "docmill":
                        one = run_docmill(program, documents, directory)
                    else:
                        environment_name, script, more, _ = tools[name]
                        one = run_tool(runners[environment_name], script, more, documents, directory, environment,
                                       files)
                results[name].append(one)
                print(f"{case} {number + 1}/{options.runs} {name}: {one['wall']:.2f} s", file=sys.stderr)
        table(case, results)


main()
