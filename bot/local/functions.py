"""Steps of Workflow Builder: a workflow runs one of the app's functions and waits for its end, which comes once.

Sources: docs.slack.dev/reference/events/function_executed, docs.slack.dev/reference/methods/functions.completeSuccess.
"""

from bot.local.core import Core
from bot.local.errors import ApiError, Json, Refused
from bot.local.webapi import Args, Method

_KINDS: dict[str, type | tuple[type, ...]] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


def run_function(core: Core, callback_id: str, inputs: Json) -> str:
    """Let a workflow execute one of the app's functions; answers the execution's id."""
    known = core.team.app.functions
    if known and callback_id not in known:
        raise Refused(f"The app has no step {callback_id}.")
    missing = set(_parameters(known.get(callback_id), "input_parameters")[1]) - inputs.keys()
    if missing:
        raise Refused(f"The step wants {', '.join(sorted(missing))}.")
    execution = core.team.new_id("Fx")
    token = f"xwfp-local-{execution}"
    core.function_tokens.add(token)
    core.executions[execution] = callback_id
    event = {
        "type": "function_executed",
        "function": {
            "id": core.team.new_id("Fn"),
            "callback_id": callback_id,
            "type": "app",
            "app_id": core.team.app.id,
        },
        "inputs": inputs,
        "function_execution_id": execution,
        "workflow_execution_id": core.team.new_id("Wx"),
        "event_ts": core.team.clock.ts(),
        "bot_access_token": token,
    }
    core.emit(event, "function_executed")
    return execution


def _parameters(function: Json | None, way: str) -> tuple[Json, list[str]]:
    """The parameters and which of them are required, by either schema of the manifest."""
    given: Json = (function or {}).get(way) or {}
    if isinstance(given.get("properties"), dict):
        return given["properties"], list(given.get("required") or ())
    return given, [name for name, each in given.items() if each.get("is_required")]


def _ended(core: Core, args: Args) -> str:
    execution = args.text("function_execution_id")
    if execution not in core.executions:
        raise ApiError("function_execution_not_found")
    return execution


def function_complete(core: Core, args: Args) -> Json:
    """functions.completeSuccess"""
    execution = _ended(core, args)
    outputs = args.structure("outputs") or {}
    if not isinstance(outputs, dict):
        raise ApiError("invalid_arguments")
    known, required = _parameters(core.team.app.functions.get(core.executions[execution]), "output_parameters")
    wrong = [f"missing {name}" for name in required if name not in outputs]
    wrong += [f"unknown {name}" for name in outputs if known and name not in known]
    for name, value in outputs.items():
        kind = _KINDS.get(str(known.get(name, {}).get("type")), object)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            wrong.append(f"{name} is of the wrong type")
    if wrong:
        raise ApiError("parameter_validation_failed", messages=tuple(wrong))
    del core.executions[execution]
    core.function_results.append({"id": execution, "outputs": outputs, "error": None})
    core.touch()
    return {}


def function_fail(core: Core, args: Args) -> Json:
    """functions.completeError"""
    execution = _ended(core, args)
    del core.executions[execution]
    core.function_results.append({"id": execution, "outputs": {}, "error": args.text("error")})
    core.touch()
    return {}


METHODS = {
    "functions.completeSuccess": Method(handler=function_complete, tier=3),
    "functions.completeError": Method(handler=function_fail, tier=3),
}
