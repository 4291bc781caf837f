"""The pipeline that teams write themselves: asyncio, thread pools, PyMuPDF, LangChain's splitter, tiktoken, LanceDB."""

import asyncio
import uuid

from common import CHUNK, OVERLAP, arguments, done, files

import lancedb
import pyarrow as pa
import tiktoken
from langchain_text_splitters import RecursiveCharacterTextSplitter
from model2vec import StaticModel

AT_ONCE = 8


def parse(path, how):
    if path.suffix != ".pdf":
        return path.read_text(errors="replace")
    if how == "pymupdf4llm":
        import pymupdf4llm

        return pymupdf4llm.to_markdown(str(path), show_progress=False)
    import pymupdf

    with pymupdf.open(path) as document:
        return "\n\n".join(page.get_text() for page in document)


async def main():
    options = arguments()
    model = await asyncio.to_thread(StaticModel.from_pretrained, options.model)
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK, chunk_overlap=OVERLAP)
    schema = pa.schema([
        ("id", pa.string()), ("uri", pa.string()), ("ordinal", pa.int32()), ("text", pa.string()),
        ("tokens", pa.int32()), ("vector", pa.list_(pa.float32(), 256)),
    ])
    database = await lancedb.connect_async(str(options.store))
    table = await database.create_table("chunks", schema=schema)
    gate, made = asyncio.Semaphore(AT_ONCE), [0, 0, 0]
    encoding = tiktoken.get_encoding("cl100k_base")

    async def one(path):
        async with gate:
            try:
                text = await asyncio.to_thread(parse, path, options.pdf)
            except Exception as error:
                print(f"{path}: {error}")
                return
            chunks = await asyncio.to_thread(splitter.split_text, text)
            if not chunks:
                return
            lengths = await asyncio.to_thread(lambda: [len(one) for one in encoding.encode_ordinary_batch(chunks)])
            vectors = await asyncio.to_thread(model.encode, chunks)
            rows = [
                {"id": str(uuid.uuid4()), "uri": str(path), "ordinal": ordinal, "text": chunk, "tokens": tokens,
                 "vector": vector}
                for ordinal, (chunk, tokens, vector) in enumerate(zip(chunks, lengths, vectors))
            ]
            await table.add(pa.Table.from_pylist(rows, schema=schema))
            made[0] += 1
            made[1] += len(chunks)
            made[2] += sum(lengths)

    await asyncio.gather(*map(one, files(options.input)))
    done(*made)


asyncio.run(main())
