"""Methods made of the functions that build requests, so that each request has one signature and one
description.

The functions take their many options as **options of a TypedDict, which checks types; a person who
asks for help sees every option by name instead.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ketgate._job_requests import JobOptions
from ketgate._options import SolveOptions
from ketgate._quantum_options import RunOptions

F = TypeVar("F", bound=Callable[..., Any])


def describe_as(method: F, build: Callable[..., Any], *, bound: bool, returns: Any) -> F:
    """Give method the name, description and signature of build; bound: with `self` before it."""
    method.__name__ = build.__name__
    method.__qualname__ = build.__qualname__
    method.__doc__, parameters = _describe(build)
    first = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)] if bound else []
    method.__signature__ = inspect.Signature([*first, *parameters], return_annotation=returns)  # type: ignore[attr-defined]
    return method


def described_as(twin: Callable[..., Any]) -> Callable[[F], F]:
    """Give a method of the asynchronous client the description that the synchronous one has."""

    def describe(method: F) -> F:
        method.__doc__ = twin.__doc__
        return method

    return describe


def describe_solving(method: F, build: Callable[..., Any]) -> F:
    """As describe_as, of a method that solves, with durable= and what goes with it."""
    describe_as(method, build, bound=True, returns=prepared_result(build))
    options = {"durable": bool} | get_type_hints(JobOptions)
    signature = inspect.signature(method)
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name == "durable" else None,
            annotation=kind,
        )
        for name, kind in options.items()
    ]
    parameters = [*signature.parameters.values(), *added]
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    method.__doc__ = f"{method.__doc__}\n\n{inspect.getdoc(JobOptions)}"
    return method


def prepared_result(build: Callable[..., Any]) -> Any:
    """R of a function that returns Prepared[R], Work[R] or the like."""
    return get_args(get_type_hints(build)["return"])[0]


def _describe(build: Callable[..., Any]) -> tuple[str, list[inspect.Parameter]]:
    """The description, and the parameters with the options spelled out."""
    text = inspect.getdoc(build) or ""
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(build).parameters.values():
        if (
            parameter.kind is not inspect.Parameter.VAR_KEYWORD
            or get_origin(parameter.annotation) is None  # not Unpack: of something else's options
        ):
            parameters.append(parameter)
            continue
        options = _unpacked(parameter.annotation)
        for name, kind in options.__annotations__.items():
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind
                )
            )
        for described in _extended(options):
            text += "\n\n" + (inspect.getdoc(described) or "")
    return text, parameters


def _extended(options: Any) -> list[Any]:
    """options and the base that it extends: at run time a TypedDict does not tell."""
    names = set(options.__annotations__)
    bases = (base for base in (SolveOptions, RunOptions) if names >= set(base.__annotations__))
    return list(dict.fromkeys((options, *bases)))


def _unpacked(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is not None else annotation
