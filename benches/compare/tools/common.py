"""What all tools share: where things are, and how they say what they made."""

import argparse
import json
import pathlib

CHUNK = 1000
OVERLAP = 200


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--input", required=True, type=pathlib.Path)
    parser.add_argument("--store", required=True, type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--pdf", default="pymupdf")
    return parser.parse_args()


def files(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


def done(documents, chunks, tokens):
    print(json.dumps({"documents": documents, "chunks": chunks, "tokens": tokens}))


def counter():
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    return lambda texts: sum(map(len, encoding.encode_ordinary_batch(texts, num_threads=2)))
