"""The OpenAPI document, made from the queries' and answers' own models: it cannot say anything else than they do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from pydantic import BaseModel, JsonValue, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema

Json = dict[str, JsonValue]
REF = "#/components/schemas/{model}"
ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked: an address, what goes in, what comes out."""

    method: Literal["get", "post"]
    path: str
    summary: str
    answer: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200


class Error(BaseModel):
    """Why there is no answer. `error` is for people."""

    status: int
    error: str


def document(operations: Sequence[Operation]) -> Json:
    """The whole document, OpenAPI 3.1."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Error, "serialization")]
    wanted += [(one.answer, "serialization") for one in operations]
    wanted += [(one.body, "validation") for one in operations if one.body is not None]
    references, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=REF)
    refs = TypeAdapter(dict[str, Json]).validate_python({model.__name__: ref for (model, _), ref in references.items()})
    paths: dict[str, Json] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method] = _operation(one, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opinionwatch",
            "version": version("opinionwatch"),
            "description": "What the page shows, as data. Times are UTC; offsets of spans count Unicode code points.",
        },
        "paths": TypeAdapter(JsonValue).validate_python(paths),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(one: Operation, refs: dict[str, Json]) -> Json:
    described: Json = {
        "summary": one.summary,
        "operationId": one.method + re.sub(r"\W+", "_", one.path.removeprefix("/api")),
        "responses": {
            str(one.status): {"description": "The answer", "content": _content(refs[one.answer.__name__])},
            "4XX": {"description": "What is wrong with the request", "content": _content(refs[ERROR])},
            "503": {"description": "Not ready; see Retry-After", "content": _content(refs[ERROR])},
        },
    }
    if one.query is not None:
        described["parameters"] = list(_parameters(one.query, one.path))
    if one.body is not None:
        described["requestBody"] = {"required": True, "content": _content(refs[one.body.__name__])}
    return described


def _content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _parameters(query: type[BaseModel], path: str) -> Sequence[Json]:
    schema = query.model_json_schema(ref_template=REF)
    required = schema.get("required", [])
    parameters: list[Json] = []
    for name, field in schema.get("properties", {}).items():
        in_path = f"{{{name}}}" in path
        parameters.append(
            {
                "name": name,
                "in": "path" if in_path else "query",
                "required": in_path or name in required,
                "description": field.pop("description", ""),
                "schema": field,
            }
        )
    return parameters
