"""What the service refuses: the SDK's own parameter types made eager, and rules that no type holds."""

from __future__ import annotations

import re
from typing import Any

from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParams
from anthropic.types.messages.batch_create_params import BatchCreateParams
from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_BYTES = 32_000_000
BATCH_BYTES = 256_000_000
BATCH_REQUESTS = 100_000
KINDS = {"claude-haiku-5-5": {"adaptive", "disabled"}, "claude-sonnet-5-5": {"adaptive", "between_tools"}}
"""Kinds of thinking that a model takes; others take `adaptive` alone."""
KEYWORDS = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "format", "title", "description"}  # fmt: skip


def eager(kind: Any) -> SchemaValidator:
    """A validator that looks into lists at once and allows no further keys: the SDK declares `Iterable`, which is lazy."""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            out = {k: (v if k == "metadata" else walk(v)) for k, v in node.items()}
            if out.get("type") == "generator":
                out = {"type": "list", "items_schema": out["items_schema"]} | ({"ref": out["ref"]} if "ref" in out else {})
            elif (out.get("type") == "typed-dict" and (out.get("config") or {}).get("extra_fields_behavior") != "allow") or out.get(
                "type"
            ) == "model-fields":
                out["extra_behavior"] = "forbid"
            elif out.get("type") == "model" and "config" in out:
                out["config"] = {**out["config"], "extra_fields_behavior": "forbid"}
            return out
        if isinstance(node, list | tuple):
            return type(node)(walk(x) for x in node)
        return node

    return SchemaValidator(walk(TypeAdapter(kind).core_schema))


CREATE, COUNT, BATCH = eager(MessageCreateParams), eager(MessageCountTokensParams), eager(BatchCreateParams)


def complaint(kind: str, body: Any, size: int) -> tuple[int, str]:
    """Status and message where the service would refuse a body; (0, "") where it would not."""
    if size > (BATCH_BYTES if kind == "batch" else MAX_BYTES):
        return 413, "request_too_large"
    try:
        {"create": CREATE, "count": COUNT, "batch": BATCH}[kind].validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        return 400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if kind == "batch":
        return batch_complaint(body["requests"])
    return message_complaint(body)


def batch_complaint(requests: list[Any]) -> tuple[int, str]:
    """Ids, number, and every request of a batch."""
    ids = [r["custom_id"] for r in requests]
    if not ids or len(ids) > BATCH_REQUESTS:
        return 400, f"requests: {len(ids)} requests"
    bad = next((i for i in ids if not CUSTOM_ID.fullmatch(i)), None)
    if bad is not None:
        return 400, f"custom_id: {bad!r} does not match ^[a-zA-Z0-9_-]{{1,64}}$"
    if len(set(ids)) != len(ids):
        return 400, "custom_id: not unique"
    for request in requests:
        status, words = message_complaint(request["params"])
        if status:
            return status, words
    return 0, ""


def message_complaint(body: dict[str, Any]) -> tuple[int, str]:
    """What current models refuse, and what no type says."""
    blocks = [b for b in body.get("system") or [] if isinstance(b, dict)]
    blocks += [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"] if isinstance(b, dict)]
    markers = sum(1 for b in blocks if b.get("cache_control"))
    if markers > 4:
        return 400, f"cache_control: at most 4 blocks, found {markers}"
    if any(not b.get("text", "x").strip() for b in blocks):
        return 400, "text content blocks must be non-empty"
    if body["messages"][-1]["role"] == "assistant":
        return 400, "prefilling assistant messages is not supported for this model"
    kind = (body.get("thinking") or {}).get("type", "adaptive")
    if kind not in KINDS.get(body["model"], {"adaptive"}):
        return 400, f"thinking: {kind} is not supported for {body['model']}"
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        return 400, "tool_choice: forced tools are not supported for this model"
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    if schema is not None and (words := schema_complaint(schema)):
        return 400, f"output_config.format.schema: {words}"
    return 0, ""


def schema_complaint(schema: Any) -> str:
    """What structured outputs do not support."""
    if isinstance(schema, dict):
        unknown = schema.keys() - KEYWORDS
        if unknown:
            return f"{min(unknown)} is not supported"
        if schema.get("type") == "object":
            if schema.get("additionalProperties") is not False:
                return "additionalProperties must be false"
            if set(schema.get("required", [])) != set(schema.get("properties", {})):
                return "every property must be required"
        inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), schema.get("items")]
        return next((w for i in inner if i is not None and (w := schema_complaint(i))), "")
    return ""
