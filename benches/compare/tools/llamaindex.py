"""LlamaIndex: SimpleDirectoryReader, IngestionPipeline with SentenceSplitter and the same model, LanceDBVectorStore."""

from common import arguments, counter, done

from llama_index.core import SimpleDirectoryReader
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.vector_stores.lancedb import LanceDBVectorStore
from model2vec import StaticModel
from pydantic import PrivateAttr


class Static(BaseEmbedding):
    _model: StaticModel = PrivateAttr()

    def __init__(self, path):
        super().__init__(embed_batch_size=256)
        self._model = StaticModel.from_pretrained(path)

    def _get_text_embedding(self, text):
        return self._model.encode([text])[0].tolist()

    def _get_text_embeddings(self, texts):
        return self._model.encode(texts).tolist()

    def _get_query_embedding(self, query):
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


def main():
    options = arguments()
    documents = SimpleDirectoryReader(str(options.input), recursive=True, exclude_hidden=False).load_data()
    # Its splitter counts tokens: 1,000 characters of English are some 220, and 200 some 45.
    splitter = SentenceSplitter(chunk_size=220, chunk_overlap=45, include_metadata=False)
    store = LanceDBVectorStore(uri=str(options.store), table_name="chunks")
    pipeline = IngestionPipeline(transformations=[splitter, Static(options.model)], vector_store=store)
    nodes = pipeline.run(documents=documents)
    texts = [node.get_content() for node in nodes]
    done(len({document.metadata["file_path"] for document in documents}), len(nodes), counter()(texts))


main()
