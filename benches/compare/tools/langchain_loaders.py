"""LangChain: its loaders, RecursiveCharacterTextSplitter, the same model, its LanceDB store."""

from common import CHUNK, OVERLAP, arguments, counter, done, files

from langchain_community.document_loaders import PyMuPDFLoader, TextLoader
from langchain_community.vectorstores import LanceDB
from langchain_core.embeddings import Embeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from model2vec import StaticModel


class Static(Embeddings):
    def __init__(self, path):
        self.model = StaticModel.from_pretrained(path)

    def embed_documents(self, texts):
        return self.model.encode(texts).tolist()

    def embed_query(self, text):
        return self.model.encode([text])[0].tolist()


def main():
    options = arguments()
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK, chunk_overlap=OVERLAP)
    store = LanceDB(embedding=Static(options.model), uri=str(options.store), table_name="chunks")
    documents, texts = 0, []
    for path in files(options.input):
        loader = PyMuPDFLoader(str(path)) if path.suffix == ".pdf" else TextLoader(str(path), autodetect_encoding=True)
        try:
            chunks = splitter.split_documents(loader.load())
        except Exception as error:
            print(f"{path}: {error}")
            continue
        if chunks:
            store.add_texts([chunk.page_content for chunk in chunks], metadatas=[{"uri": str(path)}] * len(chunks))
            documents += 1
            texts += [chunk.page_content for chunk in chunks]
    done(documents, len(texts), counter()(texts))


main()
