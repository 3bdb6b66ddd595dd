"""A loopback Messages API: validates like the service, counts a prompt cache by bytes, and fails as scripted.

``/v1/messages`` (JSON and SSE), ``/v1/messages/count_tokens``, and batches with JSONL results. What it answers is decided by
`FakeAPI.answer`, a function of the request's body; `FakeAPI.script` holds faults for the next requests.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from .validate import complaint

BYTES_PER_TOKEN = 3.3
Body = dict[str, Any]


@dataclass
class Fault:
    """What happens instead of an answer, or to it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    """The connection is reset after the request was taken."""
    edit: Callable[[Body], Any] | None = None
    """Changes the message; text that it returns is sent as it is."""


def tokens(text: str) -> int:
    return max(1, round(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN))


def prompt_texts(body: Body) -> tuple[str, str]:
    """The text up to the last cache marker, and the rest."""
    blocks = body.get("system") or []
    blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
    last = max((n for n, b in enumerate(blocks) if b.get("cache_control")), default=-1)
    prefix = "".join(b["text"] for b in blocks[: last + 1])
    rest = "".join(b["text"] for b in blocks[last + 1 :])
    for message in body["messages"]:
        content = message["content"]
        rest += content if isinstance(content, str) else "".join(b.get("text", "") for b in content)
    return prefix, rest + json.dumps((body.get("output_config") or {}).get("format") or "")


class FakeAPI(ThreadingHTTPServer):
    """The server. `with FakeAPI() as api:` runs it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[Body], str] = lambda body: '{"findings": []}'
        self.script: list[Fault] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.cached: dict[tuple[str, str], float] = {}
        self.least_cached = 300
        self.batches: dict[str, Body] = {}
        self.batch_edit: Callable[[list[Body]], list[Any]] = lambda rows: rows
        """Changes the results of a batch; text among them is sent as it is."""
        self.polls_until_ended = 1
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def asked(self) -> list[Body]:
        """Bodies of all requests for messages."""
        return [b for m, p, _, b in self.requests if (m, p) == ("POST", "/v1/messages")]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""

    def message(self, body: Body) -> Body:
        """A whole answer, with usage as a prefix cache would have it."""
        prefix, rest = prompt_texts(body)
        size, write, read = tokens(prefix), 0, 0
        if prefix and size >= self.least_cached:
            with self.lock:
                key = (body["model"], prefix)
                write, read = (0, size) if key in self.cached else (size, 0)
                self.cached[key] = time.time()
        plain = tokens(rest) + (0 if write or read else size if prefix else 0)
        text = self.answer(body)
        return {
            "id": f"msg_{len(self.requests):04d}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [
                {"type": "thinking", "thinking": "", "signature": "s"},
                {"type": "text", "text": text, "citations": None},
            ],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": plain,
                "output_tokens": tokens(text),
                "cache_creation_input_tokens": write,
                "cache_read_input_tokens": read,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": write},
                "service_tier": "standard",
            },
        }


def now(hours: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


class Handler(BaseHTTPRequestHandler):
    server: FakeAPI
    protocol_version = "HTTP/1.1"

    def log_message(self, *a: object) -> None: ...

    def reply(self, status: int, value: Any, headers: dict[str, str] | None = None, kind: str = "application/json") -> None:
        data = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "content-type": kind,
            "content-length": str(len(data)),
            "request-id": "req_fake",
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def error(self, status: int, words: str, headers: dict[str, str] | None = None) -> None:
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip
        kind = kinds.get(status, "api_error")
        self.reply(status, {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_fake"}, headers)

    def take(self) -> tuple[Any, int]:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(raw) if raw else None
        with self.server.lock:
            headers = {k.lower(): v for k, v in self.headers.items()}
            self.server.requests.append((self.command, self.path.partition("?")[0], headers, body))
        return body, len(raw)

    def authorised(self) -> bool:
        good = (
            self.headers.get("authorization", "").startswith("Bearer sk-") and self.headers.get("anthropic-version") == "2026-10-21"
        )
        if not good:
            self.error(401, "invalid credentials or version")
        return good

    def fault(self) -> Fault:
        with self.server.lock:
            return self.server.script.pop(0) if self.server.script else Fault()

    def do_POST(self) -> None:
        body, size = self.take()
        if not self.authorised():
            return
        kinds = {"/v1/messages": "create", "/v1/messages/count_tokens": "count", "/v1/messages/batches": "batch"}
        if self.path.endswith("/cancel"):
            batch = self.server.batches[self.path.split("/")[-2]]
            batch["processing_status"] = "ended"
            batch["_canceled"] = True
            self.finish_batch(batch)
            self.reply(200, public(batch))
            return
        if self.path not in kinds:
            self.error(404, self.path)
            return
        status, words = complaint(kinds[self.path], body, size)
        if status:
            self.error(status, words)
        elif self.path.endswith("count_tokens"):
            self.reply(200, {"input_tokens": sum(map(tokens, prompt_texts(body)))})
        else:
            self.with_fault(body)

    def with_fault(self, body: Body) -> None:
        fault = self.fault()
        time.sleep(fault.delay)
        batch = self.path.endswith("batches")
        if fault.status:
            self.error(fault.status, "scripted", fault.headers)
            return
        answer = self.new_batch(body) if batch else self.server.message(body)
        if fault.cut:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        value = fault.edit(answer) if fault.edit else answer
        self.sse(value) if body.get("stream") else self.reply(200, value)

    def sse(self, message: Body) -> None:
        text = next(b["text"] for b in message["content"] if b["type"] == "text")
        events = [
            ("message_start", {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}),
            ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
            ("content_block_stop", {"type": "content_block_stop", "index": 0}),
            ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
            ("message_stop", {"type": "message_stop"}),
        ]
        self.reply(200, "".join(f"event: {n}\ndata: {json.dumps(d)}\n\n" for n, d in events), kind="text/event-stream")

    def new_batch(self, body: Body) -> Body:
        with self.server.lock:
            name = f"msgbatch_{len(self.server.batches):04d}"
            counts = {"processing": len(body["requests"]), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
            batch = {"id": name, "type": "message_batch", "processing_status": "in_progress", "created_at": now(), "expires_at": now(24), "ended_at": None, "archived_at": None, "cancel_initiated_at": None, "results_url": None, "request_counts": counts, "_requests": body["requests"], "_polls": 0}  # fmt: skip
            self.server.batches[name] = batch
        return public(batch)

    def do_GET(self) -> None:
        self.take()
        if not self.authorised():
            return
        parts = self.path.partition("?")[0].strip("/").split("/")
        if len(parts) == 3:
            rows = [public(b) for b in reversed(self.server.batches.values())]
            self.reply(200, {"data": rows, "has_more": False, "first_id": None, "last_id": None})
        elif parts[3] not in self.server.batches:
            self.error(404, f"{parts[3]} not found")
        elif len(parts) == 4:
            batch = self.server.batches[parts[3]]
            batch["_polls"] += 1
            if batch["_polls"] >= self.server.polls_until_ended and batch["processing_status"] != "ended":
                self.finish_batch(batch)
            self.reply(200, public(batch))
        else:
            rows = self.server.batches[parts[3]]["_rows"]
            text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
            self.reply(200, text, kind="application/x-jsonl")

    def finish_batch(self, batch: Body) -> None:
        """Results in an order that is not that of the requests."""
        if batch.get("_canceled"):
            rows: list[Any] = [{"custom_id": r["custom_id"], "result": {"type": "canceled"}} for r in batch["_requests"]]
        else:
            done = [(r["custom_id"], self.server.message(r["params"])) for r in reversed(batch["_requests"])]
            rows = [{"custom_id": i, "result": {"type": "succeeded", "message": m}} for i, m in done]
        rows = self.server.batch_edit(rows)
        kinds = [r["result"]["type"] for r in rows if isinstance(r, dict)]
        counts = {k: kinds.count(k) for k in ("succeeded", "errored", "canceled", "expired")} | {"processing": 0}
        url = f"{self.server.url}/v1/messages/batches/{batch['id']}/results"
        batch.update(processing_status="ended", ended_at=now(), results_url=url, request_counts=counts, _rows=rows)


def public(batch: Body) -> Body:
    return {k: v for k, v in batch.items() if not k.startswith("_")}
