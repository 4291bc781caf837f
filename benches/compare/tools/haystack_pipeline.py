"""Haystack: its converters, its splitter and the same model; rows are written with LanceDB's own client."""

from common import arguments, counter, done, files

import lancedb
from haystack import Document, Pipeline, component
from haystack.components.converters import PyPDFToDocument, TextFileToDocument
from haystack.components.preprocessors import DocumentCleaner, DocumentSplitter
from model2vec import StaticModel


@component
class Static:
    def __init__(self, path):
        self.model = StaticModel.from_pretrained(path)

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]):
        vectors = self.model.encode([document.content for document in documents]).tolist()
        for document, vector in zip(documents, vectors):
            document.embedding = vector
        return {"documents": documents}


@component
class Store:
    def __init__(self, place):
        self.database = lancedb.connect(place)

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]):
        rows = [
            {"id": document.id, "uri": str(document.meta.get("file_path")), "text": document.content,
             "vector": document.embedding}
            for document in documents
        ]
        if rows:
            self.database.create_table("chunks", rows)
        return {"documents": documents}


def main():
    options = arguments()
    sources = files(options.input)
    converter = PyPDFToDocument() if sources[0].suffix == ".pdf" else TextFileToDocument()
    pipeline = Pipeline()
    pipeline.add_component("convert", converter)
    pipeline.add_component("clean", DocumentCleaner())
    # Its splitter counts words: 1,000 characters of English are some 165, and 200 some 33.
    pipeline.add_component("split", DocumentSplitter(split_by="word", split_length=165, split_overlap=33))
    pipeline.add_component("embed", Static(options.model))
    pipeline.add_component("store", Store(str(options.store)))
    for before, after in [("convert", "clean"), ("clean", "split"), ("split", "embed"), ("embed", "store")]:
        pipeline.connect(before, after)
    made = pipeline.run({"convert": {"sources": [str(path) for path in sources]}})["store"]["documents"]
    texts = [document.content for document in made]
    done(len({document.meta.get("file_path") for document in made}), len(made), counter()(texts))


main()
