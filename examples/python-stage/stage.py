#!/usr/bin/env python3
"""A stage of docmill in Python: a template.

docmill starts this program, writes documents to its standard input and reads what it makes of them from its standard
output, as frames (docs/guide/own-stage.md has them byte by byte). Fill in `prepare` and `handle`; leave the rest as it
is. Nothing but the standard library is needed, of Python 3.9 or later.

As it stands it redacts e-mail addresses.
"""

import json
import re
import struct
import sys
import traceback

PROTOCOL = 1


# --- yours: from here ------------------------------------------------------------------------------------------------

# Bounded, as addresses are: `+` in the place of `{1,64}` would take a minute for a long word without an `@`.
ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")


def prepare(config):
    """Called once, before the first document: load a model, open a connection, look at the configuration.

    `config` is the table `config` of the stage in pipeline.toml. What it returns is handed to `handle`. Raise
    `Fatal("why")` if nothing can work.
    """
    mark = config.get("mark", "[e-mail]")
    if not isinstance(mark, str):
        raise Fatal("`config.mark` must be a text")
    return {"mark": mark}


def handle(document, payload, state):
    """Called for each document. Yields payloads (`Blob`, `Text`, `Chunks`, `Vectors`), or returns without any.

    `document` is a dictionary: filename, uri, media_type, metadata and so on. `media_type`, `size`, `metadata` and
    `content` may be changed; the rest is docmill's. Raise `Skip("why")` for a document that gives nothing, `Rejected`
    for one that will never work, `Transient` for one that may work later, `Fatal` to stop the run. Any other exception
    fails this document alone.
    """
    text, count = ADDRESS.subn(state["mark"], payload.content)
    document["metadata"]["addresses_redacted"] = count
    # Pages and blocks are byte offsets into the text that was: they are left out where it has changed.
    yield payload if count == 0 else Text(text, payload.kind, payload.title, lines=payload.lines)


# --- yours: to here --------------------------------------------------------------------------------------------------


class Skip(Exception):
    """This document gives nothing, and that is no failure."""


class Problem(Exception):
    """An error that says what docmill is to do next."""

    kind = "rejected"

    def __init__(self, message, retry_after=None):
        super().__init__(message)
        self.retry_after = retry_after


class Transient(Problem):
    """Try again; `retry_after` says in how many seconds."""

    kind = "transient"


class Rejected(Problem):
    """This document fails for good, and the next one comes."""

    kind = "rejected"


class Fatal(Problem):
    """Stop the run: nothing will work until somebody mends something."""

    kind = "fatal"


class Reference:
    """A location, nothing read yet: `document["location"]` says where."""

    def split(self):
        return {"shape": "reference"}, b""


class Blob:
    """A document's bytes."""

    def __init__(self, content):
        self.content = content

    def split(self):
        return {"shape": "blob"}, self.content


class Text:
    """A document's text. `kind` is "plain", "markdown" or {"code": "python"}."""

    def __init__(self, content, kind="plain", title=None, pages=(), blocks=(), lines=False):
        self.content, self.kind, self.title = content, kind, title
        self.pages, self.blocks, self.lines = list(pages), list(blocks), lines

    def split(self):
        header = {"shape": "text", "kind": self.kind, "title": self.title, "pages": self.pages}
        return {**header, "blocks": self.blocks, "lines": self.lines}, self.content.encode()


class Chunk:
    """A piece of text. `ordinal` is its place in the document, from 0; `tokens` its length for the model."""

    def __init__(self, ordinal, text, tokens, page=None, line_start=None, line_end=None, heading=()):
        self.ordinal, self.text, self.tokens, self.page = ordinal, text, tokens, page
        self.line_start, self.line_end, self.heading = line_start, line_end, list(heading)


class Chunks:
    """Consecutive chunks of one document. `part` is "chunk" or "summary"."""

    def __init__(self, items, part="chunk", title=None):
        self.items, self.part, self.title = list(items), part, title

    def header(self):
        """The header's entry for the chunks, and their texts as one."""
        texts = [item.text.encode() for item in self.items]
        items = [
            {
                "ordinal": item.ordinal,
                "bytes": len(text),
                "tokens": item.tokens,
                "page": item.page,
                "line_start": item.line_start,
                "line_end": item.line_end,
                "heading": item.heading,
            }
            for item, text in zip(self.items, texts)
        ]
        return {"part": self.part, "title": self.title, "items": items}, b"".join(texts)

    def split(self):
        chunks, body = self.header()
        return {"shape": "chunks", "chunks": chunks}, body


class Vectors:
    """Chunks with a vector each: a list of `dimensions` floats per chunk."""

    def __init__(self, chunks, dimensions, vectors):
        self.chunks, self.dimensions, self.vectors = chunks, dimensions, list(vectors)

    def split(self):
        chunks, body = self.chunks.header()
        floats = b"".join(struct.pack(f"<{self.dimensions}f", *vector) for vector in self.vectors)
        return {"shape": "vectors", "chunks": chunks, "dimensions": self.dimensions}, body + floats


def join(header, body):
    """A payload from its entry in a frame's header and the frame's body."""
    shape = header["shape"]
    if shape == "reference":
        return Reference()
    if shape == "blob":
        return Blob(body)
    if shape == "text":
        rest = {key: header[key] for key in ("kind", "title", "pages", "blocks", "lines")}
        return Text(body.decode(), **rest)
    at, items = 0, []
    for item in header["chunks"]["items"]:
        fields = dict(item)
        end = at + fields.pop("bytes")
        items.append(Chunk(text=body[at:end].decode(), **fields))
        at = end
    chunks = Chunks(items, header["chunks"]["part"], header["chunks"]["title"])
    if shape == "chunks":
        return chunks
    size = header["dimensions"]
    vectors = [list(vector) for vector in struct.iter_unpack(f"<{size}f", body[at:])]
    return Vectors(chunks, size, vectors)


def read_frame(stream):
    """The next header and body, or None where docmill has closed the stream: then it is time to end."""
    length = stream.read(4)
    if len(length) < 4:
        return None
    header = json.loads(stream.read(struct.unpack("<I", length)[0]))
    body = stream.read(struct.unpack("<Q", stream.read(8))[0])
    return header, body


def write_frame(stream, header, body=b""):
    """Writes a header and a body."""
    encoded = json.dumps(header).encode()
    stream.write(struct.pack("<I", len(encoded)) + encoded + struct.pack("<Q", len(body)))
    stream.write(body)
    stream.flush()


def failed(error):
    """The header that says what went wrong."""
    if isinstance(error, Problem):
        kind, message = error.kind, str(error)
    else:
        # A defect, or a document that nobody thought of. The whole story goes to the log (DOCMILL_LOG=docmill_exec=debug).
        traceback.print_exception(type(error), error, error.__traceback__)
        kind, message = "rejected", f"{type(error).__name__}: {error}"
    seconds = getattr(error, "retry_after", None)
    after = None if seconds is None else {"secs": int(seconds), "nanos": int(seconds % 1 * 1_000_000_000)}
    return {"type": "failed", "error": {"class": kind, "message": message, "retry_after": after}}


def work(stream, message, body, state):
    """Answers one input."""
    document, skip = message["document"], None
    try:
        for payload in handle(document, join(message["payload"], body), state) or ():
            header, content = payload.split()
            write_frame(stream, {"type": "output", "document": document, "payload": header}, content)
    except Skip as reason:
        skip = str(reason)
    except Exception as error:
        return write_frame(stream, failed(error))
    return write_frame(stream, {"type": "end", "skip": skip})


def main():
    # The frames have standard output to themselves: a stray print() goes to standard error, which is docmill's log.
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    hello = read_frame(stdin)
    if hello is None:
        return
    try:
        if hello[0]["protocol"] != PROTOCOL:
            raise Fatal(f"docmill speaks protocol {hello[0]['protocol']}, this program {PROTOCOL}")
        state = prepare(hello[0]["config"])
    except Exception as error:
        return write_frame(stdout, failed(error))
    write_frame(stdout, {"type": "ready", "protocol": PROTOCOL})
    while (frame := read_frame(stdin)) is not None:
        work(stdout, *frame, state)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        # docmill is gone, or wants to be.
        sys.stderr.close()
