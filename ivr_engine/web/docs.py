"""``/docs``: the API described for people, from its own OpenAPI description.

A page without a script and without anything from elsewhere: whoever reads it has typed the token, and
the machine may have no way to the internet.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter()

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace; background: #f4f4f6; border-radius: 4px }
code { padding: 1px 4px } pre { padding: 12px; overflow-x: auto }
section { border-top: 1px solid #ddd; margin-top: 1.5rem } h3 code { background: none }
td, th { text-align: left; padding: 2px 12px 2px 0; vertical-align: top }
"""


@router.get("/docs")
async def page(request: Request) -> HTMLResponse:
    """Ask a browser's user for the token (any name, the token as password), then show this page."""
    return HTMLResponse(
        render(request.app.openapi()),
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )


def render(schema: dict[str, Any]) -> str:
    """The OpenAPI description as one HTML page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{escape(schema['info']['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{escape(schema['info']['title'])}</h1>",
        *(f"<p>{escape(text)}</p>" for text in schema["info"]["description"].split("\n\n")),
        "<p>For programs: <a href=/openapi.json>openapi.json</a></p>",
    ]
    for path, methods in schema["paths"].items():
        parts += [_operation(schema, method, path, operation) for method, operation in methods.items()]
    return "\n".join(parts)


def _operation(schema: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{p['in']}<td>{escape(p.get('description', ''))}"
        for p in operation.get("parameters", [])
    )
    example = _example(schema, operation)
    statuses = ", ".join(
        f"{code} {escape(answer.get('description', ''))}" for code, answer in operation["responses"].items()
    )
    return (
        f"<section><h3><code>{method.upper()} {escape(path)}</code></h3>"
        f"<p><b>{escape(operation.get('summary', ''))}.</b> {escape(operation.get('description', ''))}</p>"
        + (f"<table>{rows}</table>" if rows else "")
        + (f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>" if example else "")
        + f"<p><small>{statuses}</small></p></section>"
    )


def _example(schema: dict[str, Any], operation: dict[str, Any]) -> Any:  # noqa: ANN401  (any JSON)
    content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        return content["example"]
    model = _resolve(schema, content.get("schema", {}))
    item = model.get("properties", {}).get("items", {}).get("items")
    if item:
        return {"items": _resolve(schema, item).get("examples", [])}
    return next(iter(model.get("examples", [])), None)


def _resolve(schema: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    name = model.get("$ref", "").rpartition("/")[2]
    return schema["components"]["schemas"][name] if name else model
