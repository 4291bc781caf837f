"""A stage of a docmill pipeline: texts in, texts out. This one takes out lines that say no more than "Page 3 of 7".

docmill starts it and speaks to it in frames: the length of a JSON header (4 bytes), the header, the length of a body
(8 bytes), the body; lengths are little-endian. Write nothing else to standard output; standard error is for you.
"""

import json
import re
import struct
import sys

PAGE = re.compile(r"(page|seite)?\s*\d+(\s*(of|von|/)\s*\d+)?", re.IGNORECASE)


def tidy(text):
    return "\n".join(line for line in text.split("\n") if not PAGE.fullmatch(line.strip()))


def read(stream):
    length = stream.read(4)
    if len(length) < 4:
        return None, b""
    header = json.loads(stream.read(struct.unpack("<I", length)[0]))
    return header, stream.read(struct.unpack("<Q", stream.read(8))[0])


def write(stream, header, body=b""):
    head = json.dumps(header).encode()
    stream.write(struct.pack("<I", len(head)) + head + struct.pack("<Q", len(body)) + body)
    stream.flush()


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a print for debugging is no frame
    hello, _ = read(source)  # hello["config"] is the stage's own table `config`
    write(sink, {"type": "ready", "protocol": hello["protocol"]})
    while True:
        message, body = read(source)
        if message is None:
            return
        text = tidy(body.decode())
        if text.strip():
            # Where pages and lines were is no longer known: the text is another.
            given = message["payload"]
            payload = {"shape": "text", "kind": given["kind"], "title": given["title"], "pages": []}
            write(sink, {"type": "output", "document": message["document"], "payload": payload}, text.encode())
        skip = None if text.strip() else "nothing but page numbers"
        write(sink, {"type": "end", "skip": skip})


if __name__ == "__main__":
    main()
