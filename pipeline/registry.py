"""Named things: registries map a kind to an import string, so that nothing heavy loads until it is named."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from opinionwatch.pipeline.errors import SettingsError

Options = TypeVar("Options", bound=BaseModel)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say what the writer probably meant.

    >>> nearest("slak", ["slack", "email"])
    "did you mean 'slack'?"
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"


def resolve(registry: Mapping[str, str], kind: str, what: str) -> type:
    """The class behind `kind`: a key of the registry, or a user's own `package.module:Class`.

    Raises SettingsError with the nearest known name.
    """
    target = registry.get(kind, kind)
    module, colon, name = target.partition(":")
    if not colon:
        raise SettingsError(f"{what}: unknown kind '{kind}'; {nearest(kind, registry)}")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # foreign code may fail in any way while it is imported
        raise SettingsError(f"{what}: cannot import '{target}': {error}") from error
    if not isinstance(found, type):
        raise SettingsError(f"{what}: '{target}' is not a class")
    return found


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """One line a mistake: where it is, what is wrong, and what to write instead: the nearest valid name of an unknown
    field, else what the field is for and its usual value.
    """
    lines = []
    for mistake in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join([where, *(str(part) for part in mistake["loc"])]).strip(".")
        message = mistake["msg"].removeprefix("Value error, ") + _cure(model, mistake["loc"], mistake["type"])
        if mistake["type"] == "extra_forbidden":
            message = f"unknown setting; {nearest(str(mistake['loc'][-1]), _known(model, mistake['loc'][:-1]))}"
        lines.append(f"{place}: {message}")
    return "\n".join(lines)


def _cure(model: type[BaseModel], place: Sequence[int | str], kind: str) -> str:
    """What a field is for, and its usual value; nothing where the message has said it."""
    names = [part for part in place if isinstance(part, str)]
    fields = [] if kind == "value_error" or not names else [_field(m, names[-1]) for m in _inside(model, place[:-1])]
    for field in fields:
        if field is not None and field.description:
            usual = field.default
            known = isinstance(usual, str | int | float) and usual != ""
            return (f"; usually {usual}" if known else "") + f". It is: {field.description}"
    return ""


def _field(model: type[BaseModel], name: str) -> FieldInfo | None:
    found = model.model_fields.get(name)
    return found or next((field for field in model.model_fields.values() if field.alias == name), None)


def options(model: type[Options], given: Mapping[str, object], where: str) -> Options:
    """Validate a component's own settings. Raises SettingsError that names the field and the cure."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise SettingsError(explain(error, model, where)) from error


def _known(model: type[BaseModel], section: Sequence[int | str]) -> set[str]:
    """Names of the settings in a section: follow its place through the models, past list indices and keys."""
    return {field.alias or name for outer in _inside(model, section) for name, field in outer.model_fields.items()}


def _inside(model: type[BaseModel], section: Sequence[int | str]) -> list[type[BaseModel]]:
    here = [model]
    for part in section:
        here = [inner for outer in here for inner in _models(outer.model_fields.get(str(part)))] or here
    return here


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models in an annotation such as `tuple[Name | str, ...] | None`."""
    annotation = annotation.annotation if isinstance(annotation, FieldInfo) else annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models(part)]
