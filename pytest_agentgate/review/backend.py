"""Who answers: the seam between a review and the service, and answers that were recorded. No network here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from pytest_agentgate.cache import digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import ToolError, UsageError
from pytest_agentgate.review.money import Usage


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a model."""

    model: str
    system: tuple[dict[str, object], ...]
    """Text blocks; the last one carries the cache marker."""
    question: str
    shape: dict[str, object]
    """JSON Schema of the answer."""
    max_tokens: int
    effort: str = ""

    @property
    def key(self) -> str:
        """Digest of everything that the model sees."""
        return digest("request", msgspec.json.encode(self, order="sorted"))

    @property
    def size(self) -> int:
        """Bytes of text in the prompt."""
        texts = (*(str(b.get("text", "")) for b in self.system), self.question)
        return sum(len(t.encode("utf-8", "surrogatepass")) for t in texts)

    @property
    def marked(self) -> bool:
        """Whether the prompt cache is asked to keep the system blocks."""
        return any("cache_control" in b for b in self.system)

    @property
    def prefix(self) -> str:
        """Digest of what the prompt cache can keep."""
        return digest("prefix", self.model, msgspec.json.encode(self.system, order="sorted"))

    def body(self) -> dict[str, object]:
        """Parameters for the Messages API. Sampling parameters, prefill and forced tools do not exist on current models."""
        output: dict[str, object] = {"format": {"type": "json_schema", "schema": self.shape}}
        if self.effort:
            output["effort"] = self.effort
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": list(self.system),
            "messages": [{"role": "user", "content": self.question}],
            "output_config": output,
        }


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, or why there is none."""

    text: str = ""
    stop: str = ""
    """The API's ``stop_reason``."""
    usage: Usage = Usage()
    model: str = ""
    id: str = ""
    error: str = ""
    """Why there is no answer; empty where there is one."""
    sent: bool = True
    """Whether the service may have done the work, and so may charge for it."""
    batch: bool = False
    """It came in a batch, at the price of one."""

    @property
    def trouble(self) -> str:
        """Why this is no whole answer; empty where it is one."""
        if self.error:
            return self.error
        if self.stop != "end_turn":
            words = {"max_tokens": "the answer was cut off at its token limit", "refusal": "the model refused to answer"}
            return words.get(self.stop, f"the model stopped with {self.stop or 'no reason'}")
        return "" if self.text.strip() else "the answer is empty"


class Backend(Protocol):
    """Answers requests. Never raises for what the service does: that is an `error` of the reply."""

    def known(self, request: Request) -> Reply | None:
        """An answer that is here already and costs nothing now; None: it has to be asked for."""

    def send(self, request: Request) -> Reply:
        """Ask, and wait for the answer."""

    def count(self, request: Request) -> int | None:
        """Tokens of the prompt as the service counts them; None where it cannot be asked."""


@dataclass(frozen=True)
class Replay:
    """Answers recorded in a folder: one file for each request, named by its key (``--review-backend replay:DIR``)."""

    folder: str

    def known(self, request: Request) -> Reply | None:
        """Always: nothing is ever sent."""
        return self.send(request)

    def send(self, request: Request) -> Reply:
        """The recorded answer; a request that was never recorded has none."""
        try:
            with open(os.path.join(self.folder, f"{request.key}.json"), "rb") as stream:
                return from_json(stream.read(), Reply)
        except FileNotFoundError:
            return Reply(error=f"no answer to request {request.key[:12]} is recorded in {self.folder}", sent=False)
        except (OSError, msgspec.MsgspecError) as error:
            return Reply(error=f"the recorded answer to {request.key[:12]} cannot be read: {error}", sent=False)

    def count(self, request: Request) -> int | None:
        """Nobody counts here."""
        return None


@dataclass(frozen=True)
class Record:
    """Asks another backend and keeps each whole answer in a folder (``--review-backend record:DIR``)."""

    inner: Backend
    folder: str

    def known(self, request: Request) -> Reply | None:
        """As the other backend knows."""
        return self.inner.known(request)

    def send(self, request: Request) -> Reply:
        """Ask, and keep the answer."""
        reply = self.inner.send(request)
        if not reply.error:
            try:
                os.makedirs(self.folder, exist_ok=True)
                with open(os.path.join(self.folder, f"{request.key}.json"), "wb") as stream:
                    stream.write(msgspec.json.format(msgspec.json.encode(reply), indent=2))
            except OSError as error:
                raise ToolError(f"the answer cannot be recorded in {self.folder}: {error.strerror}") from error
        return reply

    def count(self, request: Request) -> int | None:
        """As the other backend counts."""
        return self.inner.count(request)


@dataclass(frozen=True)
class Prefilled:
    """Answers that a batch brought and paid for, by the request's key; what else is asked goes to another backend."""

    inner: Backend
    replies: Mapping[str, Reply]

    def known(self, request: Request) -> Reply | None:
        """The batch's answer. A question for findings that the batch did not hold is never asked at the full price instead."""
        if "findings" in request.shape.get("required", ()) and request.key not in self.replies:  # type: ignore[operator]  # a list
            return Reply(error="the batch brought no answer to this part", sent=False)
        return self.replies.get(request.key)

    def send(self, request: Request) -> Reply:
        """Ask the other backend."""
        return self.inner.send(request)

    def count(self, request: Request) -> int | None:
        """As the other backend counts."""
        return self.inner.count(request)


def split(backend: str) -> tuple[str, str]:
    """Kind and folder of ``--review-backend``; raises `UsageError` for others than api, replay:DIR and record:DIR."""
    kind, _, folder = (backend or "api").partition(":")
    if kind not in ("api", "replay", "record") or (kind != "api") != bool(folder):
        raise UsageError(f"--review-backend takes api, replay:DIR or record:DIR, not {backend!r}")
    return kind, folder
