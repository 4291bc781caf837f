"""Kreuzberg, whose core is Rust as well: it reads and cuts all files in one call; model2vec and LanceDB's client do the rest."""

import uuid

from common import CHUNK, OVERLAP, arguments, counter, done, files

import kreuzberg
import lancedb
import pyarrow as pa
from model2vec import StaticModel

# Files of one call: what comes of them is held until their rows are written.
AT_ONCE = 64


def main():
    options = arguments()
    model, count = StaticModel.from_pretrained(options.model), counter()
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        chunking=kreuzberg.ChunkingConfig(max_chars=CHUNK, max_overlap=OVERLAP),
    )
    schema = pa.schema([
        ("id", pa.string()), ("uri", pa.string()), ("ordinal", pa.int32()), ("text", pa.string()),
        ("vector", pa.list_(pa.float32(), 256)),
    ])
    table = lancedb.connect(str(options.store)).create_table("chunks", schema=schema)
    made = [0, 0, 0]
    paths = files(options.input)
    for begin in range(0, len(paths), AT_ONCE):
        group = paths[begin:begin + AT_ONCE]
        rows = []
        for path, result in zip(group, kreuzberg.batch_extract_files_sync([str(path) for path in group], config=config)):
            texts = [chunk.content for chunk in result.chunks or []]
            if not texts:
                continue
            made[0] += 1
            made[1] += len(texts)
            made[2] += count(texts)
            rows += [
                {"id": str(uuid.uuid4()), "uri": str(path), "ordinal": ordinal, "text": text, "vector": vector}
                for ordinal, (text, vector) in enumerate(zip(texts, model.encode(texts)))
            ]
        if rows:
            table.add(pa.Table.from_pylist(rows, schema=schema))
    done(*made)


main()
