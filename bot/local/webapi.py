"""The Web API: arguments merged from query, form and JSON; tokens, scopes, rate limits, faults; then the method.

Sources: docs.slack.dev/apis/web-api, docs.slack.dev/reference/methods. slack_sdk sends reads as GET and many writes
with their arguments in the query string, so every method accepts every way.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from bot.local.core import Core
from bot.local.errors import ApiError, Json

MAX_BODY_BYTES = 1024 * 1024


class Args:
    """The arguments of one call. Everything may come as text, as HTML forms have it."""

    def __init__(self, raw: Json) -> None:
        self.raw = raw

    def text(self, name: str) -> str:
        """A required text."""
        value = self.maybe(name)
        if value is None:
            raise ApiError("invalid_arguments", messages=(f"missing required field: {name}",))
        return value

    def maybe(self, name: str) -> str | None:
        """An optional text; empty counts as absent."""
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            raise ApiError("invalid_arguments", messages=(f"must be a string [json-pointer:/{name}]",))
        return str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean in any of its spellings."""
        value = self.raw.get(name)
        return default if value is None else str(value).lower() in {"true", "1"}

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        try:
            return int(self.maybe(name) or default)
        except ValueError:
            raise ApiError("invalid_arguments", messages=(f"must be an integer [json-pointer:/{name}]",)) from None

    def structure(self, name: str, error: str = "invalid_arguments") -> object:
        """JSON, whether it came as such or as text; ``None`` when absent."""
        value = self.raw.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ApiError(error, messages=(f"must be valid JSON [json-pointer:/{name}]",)) from None


Handler = Callable[[Core, Args], Awaitable[Json] | Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method: its handler, its rate tier (0: chat.postMessage's own rule), the scopes of which one is needed."""

    handler: Handler
    tier: int
    scopes: tuple[str, ...] = ()
    needs_app_token: bool = False


async def arguments(request: web.Request) -> Json:
    """Everything a caller said, wherever: query, then form or JSON; the later wins."""
    merged: Json = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        try:
            parsed = json.loads(body) if body.strip() else {}
        except (ValueError, RecursionError):
            raise ApiError("invalid_json") from None
        if not isinstance(parsed, dict):
            raise ApiError("json_not_object")
        return merged | parsed
    if request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        texts, files = await form(request)
        close_all(files)
        merged |= texts
    return merged


async def form(request: web.Request) -> tuple[dict[str, str], dict[str, web.FileField]]:
    """The texts and the files of an HTML form; the files are to be closed."""
    fields = await request.post()
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    return texts, {name: value for name, value in fields.items() if isinstance(value, web.FileField)}


def close_all(files: dict[str, web.FileField]) -> None:
    """Close the files of a form."""
    for file in files.values():
        file.file.close()


async def serve_method(core: Core, methods: dict[str, Method], request: web.Request) -> web.Response:
    """Answer ``/api/<method>``."""
    name = request.match_info["method"]
    method = methods.get(name)
    headers = {"X-OAuth-Scopes": ",".join(sorted(core.team.app.scopes))}
    args: Json = {}
    try:
        args = await arguments(request)
        if name == "oauth.v2.access":  # the app's credentials instead of a token
            fault = core.faults.due(name)
            if fault is not None and fault.error is not None:
                raise ApiError(fault.error)
            answer = core.installs.access(args, request.headers.get("Authorization", ""))
            core.record(name, {"grant_type": args.get("grant_type")}, None)
            if fault is not None:
                await asyncio.sleep(fault.delay_s)  # the tokens are exchanged already: who hangs up has lost them
            return web.json_response({"ok": True} | answer)
        token = _token(request, args)
        if method is None:
            raise ApiError("unknown_method", req_method=name)
        headers["X-Accepted-OAuth-Scopes"] = ",".join(method.scopes)
        _authorize(core, name, method, token)
        return await _limited(core, name, method, args, headers)
    except ApiError as error:
        core.record(name, {} if name == "oauth.v2.access" else args, error.code)
        return web.json_response(error.answer(), headers=headers)


async def _limited(core: Core, name: str, method: Method, args: Json, headers: dict[str, str]) -> web.Response:
    channel = _channel_id(core, args) if method.tier == 0 else None
    wait_s = core.meter.retry_after(name, method.tier, channel)
    if wait_s:
        return _rate_limited(core, name, args, wait_s)
    fault = core.faults.due(name)
    if fault is None:
        return web.json_response(await _called(core, name, method, args), headers=headers)
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    is_right = fault.error is None and fault.retry_after_s is None and fault.status == 200
    answer = await _called(core, name, method, args) if is_right or fault.takes_effect else {}
    if is_right:
        return web.json_response(answer, headers=headers)
    if fault.retry_after_s is not None:
        return _rate_limited(core, name, args, fault.retry_after_s)
    if fault.status != 200:
        core.record(name, args, f"http_{fault.status}")
        return web.Response(status=fault.status, text="something went wrong")
    raise ApiError(str(fault.error))


def _channel_id(core: Core, args: Json) -> str:
    """The channel as the limit counts it: by id, whatever it was called by."""
    reference = str(args.get("channel", ""))
    try:
        return core.team.channel(reference).id
    except ApiError:
        return reference


async def _called(core: Core, name: str, method: Method, args: Json) -> Json:
    result = method.handler(core, Args(args))
    answer = result if isinstance(result, dict) else await result
    core.record(name, args, None)
    return {"ok": True} | answer


def _rate_limited(core: Core, name: str, args: Json, wait_s: int) -> web.Response:
    core.record(name, args, "ratelimited")
    body = {"ok": False, "error": "ratelimited"}
    return web.json_response(body, status=429, headers={"Retry-After": str(wait_s)})


def _token(request: web.Request, args: Json) -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    argument = args.pop("token", None)  # never recorded
    return credentials.strip() if scheme.lower() == "bearer" else str(argument or "")


def _authorize(core: Core, name: str, method: Method, token: str) -> None:
    if not token:
        raise ApiError("not_authed")
    if method.needs_app_token:
        if core.tokens.knows(token):
            raise ApiError("not_allowed_token_type")
        if token != core.app_token:
            raise ApiError("invalid_auth")
        return
    if token == core.app_token:
        raise ApiError("not_allowed_token_type")
    if not core.tokens.check(token) and not (name.startswith("functions.") and token in core.function_tokens):
        raise ApiError("invalid_auth")
    if method.scopes and not core.team.app.scopes & set(method.scopes):
        raise missing_scope(core, *method.scopes)


def missing_scope(core: Core, *needed: str) -> ApiError:
    """The refusal that names what would be needed."""
    return ApiError("missing_scope", needed=",".join(needed), provided=",".join(sorted(core.team.app.scopes)))
