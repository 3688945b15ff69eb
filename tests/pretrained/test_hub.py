"""Encoders by name: fetched from the hub once, and what another program left there is completed.

The hub is a server on this machine that answers as the hub's API does, with files made here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sitrepbench.encoders import EMBEDDING

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SENTENCE_ENCODER = {
    "modules.json": json.dumps(
        [
            {"path": "", "type": "sentence_transformers.models.Transformer"},
            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ]
    ),
    "config.json": "{}",
    "tokenizer.json": '{"words": []}',
    "1_Pooling/config.json": '{"pooling_mode_cls_token": true}',
    "model.safetensors": "weights",
    "pytorch_model.bin": "the same weights",
    "onnx/model.onnx": "and once more",
    "README.md": "about it",
}
PLAIN_ENCODER = {
    "config.json": "{}",
    "vocab.txt": "[PAD]",
    "pytorch_model.bin": "weights",
}
#: Prints the folder of an encoder's name, or, at last, what is wrong.
FIND = """
import sys
from sitrepbench.encoders import EMBEDDING, FINE_TUNING
from sitrepbench.errors import ConfigError
try:
    print({"embedding": EMBEDDING, "tuning": FINE_TUNING}[sys.argv[2]].folder(sys.argv[1]))
except ConfigError as error:
    sys.exit(str(error))
"""
#: Does what other programs do that want a part of a model.
PART = """
import sys
from huggingface_hub import hf_hub_download
for name in sys.argv[2:]:
    hf_hub_download(sys.argv[1], name)
"""


class Hub:
    """Repositories by name, and what was asked for."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, str]] = {}
        self.sent: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self._answer(send=False)

            def do_GET(self) -> None:
                self._answer(send=True)

            def _answer(self, *, send: bool) -> None:
                path = urlsplit(self.path).path.strip("/")
                for name, files in hub.models.items():
                    if path.startswith(f"api/models/{name}/tree/"):
                        return self._json([_entry(*item) for item in files.items()])
                    if path.startswith(f"api/models/{name}"):
                        siblings = [{"rfilename": file} for file in files]
                        return self._json({"id": name, "sha": COMMIT, "siblings": siblings})
                    if path.startswith(f"{name}/resolve/"):
                        file = path.removeprefix(f"{name}/resolve/").partition("/")[2]
                        return self._file(name, file, files.get(file), send)
                return self._absent("RepoNotFound")

            def _file(self, name: str, file: str, content: str | None, send: bool) -> None:
                if content is None:
                    self._absent("EntryNotFound")
                    return
                if send:
                    hub.sent.append(f"{name}/{file}")
                self._send(200, content.encode(), send, ETag=f'"{_digest(content)}"')

            def _json(self, content: object) -> None:
                self._send(200, json.dumps(content).encode(), self.command == "GET")

            def _absent(self, code: str) -> None:
                self._send(404, b"{}", self.command == "GET", **{"X-Error-Code": code})

            def _send(self, status: int, body: bytes, send: bool, **headers: str) -> None:
                self.send_response(status)
                for name, value in {"X-Repo-Commit": COMMIT, **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if send:
                    self.wfile.write(body)

        return Handler


def _digest(content: str) -> str:
    return hashlib.sha1(content.encode()).hexdigest()


def _entry(file: str, content: str) -> dict[str, object]:
    return {"type": "file", "path": file, "size": len(content), "oid": _digest(content)}


@pytest.fixture
def hub(require: Callable[[bool, str], None]) -> Iterator[Hub]:
    there = [importlib.util.find_spec(n) for n in ("sentence_transformers", "huggingface_hub")]
    require(all(there), f"the extra is not installed: {EMBEDDING.install}")
    hub = Hub()
    hub.models = {"us/encoder": dict(SENTENCE_ENCODER), "us/plain": dict(PLAIN_ENCODER)}
    yield hub
    hub.close()


def asked(
    hub: Hub, home: Path, script: str, *words: str, offline: bool = False
) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment = {
        **kept,
        "HF_HOME": str(home),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-c", script, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def found(hub: Hub, home: Path, name: str, use: str, *, offline: bool = False) -> set[str]:
    done = asked(hub, home, FIND, name, use, offline=offline)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_a_name_is_fetched_once_without_what_is_not_read(hub: Hub, tmp_path: Path) -> None:
    wanted = set(SENTENCE_ENCODER) - {"pytorch_model.bin", "onnx/model.onnx", "README.md"}
    assert found(hub, tmp_path, "us/encoder", "embedding") == wanted
    assert sorted(hub.sent) == sorted(f"us/encoder/{name}" for name in wanted)
    del hub.sent[:]
    assert found(hub, tmp_path, "us/encoder", "embedding") == wanted
    assert found(hub, tmp_path, "us/encoder", "tuning", offline=True) == wanted
    assert not hub.sent


def test_older_models_are_fetched_with_the_weights_that_they_have(hub: Hub, tmp_path: Path) -> None:
    assert found(hub, tmp_path, "us/plain", "tuning") == set(PLAIN_ENCODER)
    # That it has no modules is known by then: it needs no network to be embedded with.
    assert found(hub, tmp_path, "us/plain", "embedding", offline=True) == set(PLAIN_ENCODER)


def test_what_another_program_left_in_the_cache_is_completed(hub: Hub, tmp_path: Path) -> None:
    part = ["config.json", "tokenizer.json", "model.safetensors"]
    done = asked(hub, tmp_path, PART, "us/encoder", *part)
    assert done.returncode == 0, done.stderr
    # Enough to be fine-tuned; embedded with, it would be pooled in another way.
    assert found(hub, tmp_path, "us/encoder", "tuning", offline=True) == set(part)
    refused = asked(hub, tmp_path, FIND, "us/encoder", "embedding", offline=True)
    assert "not found, or not whole" in refused.stderr
    assert "1_Pooling/config.json" in found(hub, tmp_path, "us/encoder", "embedding")
    assert found(hub, tmp_path, "us/encoder", "embedding", offline=True) > set(part)


def test_a_name_that_is_nowhere_is_told_with_what_to_do(hub: Hub, tmp_path: Path) -> None:
    done = asked(hub, tmp_path, FIND, "us/nothing", "tuning")
    assert done.returncode == 1
    assert "encoder=us/nothing: there is no such folder here" in done.stderr
    assert "hf download us/nothing --local-dir FOLDER" in done.stderr
