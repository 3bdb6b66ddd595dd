"""The one module that talks to the Anthropic API. The SDK is imported when the first request is sent, never before.

The key reaches this module and no other; it is given explicitly, so that neither the environment nor a login on this machine
is ever picked up, and so is the address: an ``ANTHROPIC_BASE_URL`` that came from a repository must not receive the key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from pytest_agentgate.errors import LostError, RefusedError
from pytest_agentgate.review.backend import Reply, Request
from pytest_agentgate.review.money import Usage

URL = "https://api.anthropic.com"
TIMEOUT = 300.0
"""Seconds for one attempt; given, it also lets the SDK send long requests without streaming."""
RETRIES = 2


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as the service describes it."""

    id: str
    status: str
    """``in_progress``, ``canceling`` or ``ended``."""
    counts: dict[str, int] = {}
    created: str = ""

    @property
    def made(self) -> float:
        """When it was made, in seconds since the epoch; 0 where the service does not say."""
        try:
            return datetime.fromisoformat(self.created).timestamp()
        except ValueError:
            return 0.0


@dataclass(frozen=True)
class Client:
    """The service. Never raises for what it does, save in `create` and what asks for batches."""

    key: str = field(repr=False)
    url: str = URL

    @cached_property
    def _sdk(self) -> Any:
        import anthropic

        return anthropic

    def _open(self, retries: int) -> Any:
        """An SDK client that tries again where the service says that it is busy, and never where an answer was lost."""
        os.environ.pop("ANTHROPIC_CUSTOM_HEADERS", None)  # they would win over the key that was given

        def watch(request: Any, call_next: Callable[[Any], Any]) -> Any:
            try:
                return call_next(request)
            except self._sdk.APIConnectionError as error:
                if refused(error):
                    raise
                raise LostError(words(error.__cause__ or error)) from None

        return self._sdk.Anthropic(
            api_key=self.key,
            base_url=self.url,
            timeout=TIMEOUT,
            max_retries=retries,
            open_telemetry=False,
            middleware=[watch],
        )

    def known(self, request: Request) -> Reply | None:
        """Nothing is known here without asking."""
        return None

    def send(self, request: Request) -> Reply:
        """Ask once. An answer that was lost on the way is an error with `sent`: it may be charged."""
        try:
            with self._open(RETRIES) as client:
                return reply_of(client.messages.create(**request.body()))
        except self._sdk.APIStatusError as error:
            return Reply(error=status_words(error), sent=False)
        except LostError as error:
            return Reply(error=f"the API's answer was lost: {error}")
        except self._sdk.APIConnectionError as error:
            return Reply(error=f"the API could not be reached: {words(error)}", sent=False)
        except Exception as error:  # the SDK's own, pydantic's, and whatever an answer of another shape makes of our reading
            return Reply(error=f"the API's answer could not be read: {words(error)}")

    def count(self, request: Request) -> int | None:
        """Tokens of the prompt as the service counts them."""
        body = {k: v for k, v in request.body().items() if k != "max_tokens"}
        try:
            with self._open(RETRIES) as client:
                return int(client.messages.count_tokens(**body).input_tokens)
        except Exception:  # counting costs nothing, and an estimate does as well
            return None

    def create(self, requests: Sequence[tuple[str, Request]]) -> Job:
        """Hand a batch in, once: a second try after a lost answer would be paid twice. Raises `LostError` where nobody knows."""
        items = [{"custom_id": name, "params": r.body()} for name, r in requests]
        try:
            with self._open(0) as client:
                return job_of(client.messages.batches.create(requests=items))
        except self._sdk.APIStatusError as error:
            if error.status_code >= 500:
                raise LostError(status_words(error)) from error
            raise RefusedError(status_words(error), final=True) from error
        except LostError:
            raise
        except self._sdk.APIConnectionError as error:
            raise RefusedError(f"the API could not be reached: {words(error)}") from error
        except Exception as error:  # an answer that cannot be read: the service has the batch, or has not
            raise LostError(words(error)) from error

    def job(self, name: str) -> Job:
        """How far a batch is. Raises `RefusedError` where that cannot be had now."""
        return job_of(self._ask(lambda client: client.messages.batches.retrieve(name)))

    def jobs(self, since: float) -> list[Job]:
        """Batches of this key's workspace that were made since a moment, all pages of them."""

        def look(client: Any) -> list[Job]:
            found = []
            for batch in client.messages.batches.list(limit=100):
                found.append(job_of(batch))
                if found[-1].made < since:
                    break
            return found

        found: list[Job] = self._ask(look)
        return [j for j in found if j.made >= since]

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        try:
            with self._open(RETRIES) as client:
                return call(client)
        except self._sdk.APIStatusError as error:
            final = 400 <= error.status_code < 500 and error.status_code not in (408, 409, 429)
            raise RefusedError(status_words(error), final=final) from error
        except Exception as error:  # nothing was changed: it is asked again
            raise RefusedError(words(error)) from error

    def results(self, name: str) -> Iterator[tuple[str, Reply, bool]]:
        """Each result of a batch that has ended: id, answer, and whether it is worth sending again. In any order."""
        try:
            with self._open(RETRIES) as client:
                found = [_result(item) for item in client.messages.batches.results(name)]
        except Exception as error:  # a stream that was cut, a line that is no JSON: it is read again
            raise RefusedError(f"the results of {name} could not be read: {words(error)}") from error
        yield from found


def _result(item: Any) -> tuple[str, Reply, bool]:
    kind = item.result.type
    if kind == "succeeded":
        return item.custom_id, reply_of(item.result.message), False
    if kind == "errored":
        inner = item.result.error.error
        again = inner.type in ("api_error", "overloaded_error", "rate_limit_error", "timeout_error")
        return item.custom_id, Reply(error=f"{inner.type}: {inner.message}", sent=False), again
    return item.custom_id, Reply(error=f"the request is {kind}", sent=False), kind in ("expired", "canceled")


def reply_of(message: Any) -> Reply:
    """An SDK message as our value. Text is looked for by type: thinking may come first."""
    usage, details = message.usage, getattr(message.usage, "cache_creation", None)
    text = "".join(b.text for b in message.content or () if b.type == "text")
    stop = str(message.stop_reason or "")
    category = getattr(getattr(message, "stop_details", None), "category", None)
    hour = (details.ephemeral_1h_input_tokens or 0) if details else 0
    return Reply(
        text=text,
        stop=stop,
        error=f"the model refused to answer ({category})" if stop == "refusal" and category else "",
        usage=Usage(
            input_tokens=usage.input_tokens or 0,
            cache_write_1h=hour,
            cache_write_5m=max((usage.cache_creation_input_tokens or 0) - hour, 0),
            cache_read=usage.cache_read_input_tokens or 0,
            output_tokens=usage.output_tokens or 0,
        ),
        model=str(message.model or ""),
        id=str(message.id or ""),
    )


def job_of(batch: Any) -> Job:
    """An SDK batch as our value."""
    counts: Mapping[str, Any] = json.loads(batch.request_counts.to_json())
    numbers = {k: v for k, v in counts.items() if isinstance(v, int)}
    return Job(id=batch.id, status=batch.processing_status, counts=numbers, created=str(batch.created_at))


def refused(error: Exception) -> bool:
    """Whether a connection error came before the request was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError) or type(cause).__name__ == "ConnectError":
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def status_words(error: Any) -> str:
    """What the service said, in one line; an answer to a wrong key says what to do."""
    detail = words(error)
    if error.status_code in (401, 403):
        return f"the API refused the key ({error.status_code}): set ANTHROPIC_API_KEY to a valid one; {detail}"
    return f"the API answered {error.status_code}: {detail}"


def words(error: BaseException) -> str:
    """First line of an error, short."""
    text = str(getattr(error, "api_message", "") or error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
