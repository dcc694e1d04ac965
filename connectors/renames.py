"""Where the fields of our input format are found in foreign records."""

from typing import Annotated

from pydantic import AfterValidator, Field

from opinionwatch.pipeline.contracts import Submission
from opinionwatch.pipeline.registry import nearest


def _known(fields: dict[str, str]) -> dict[str, str]:
    for name in fields:
        if name not in Submission.model_fields:
            raise ValueError(f"no field '{name}' in the input format; {nearest(name, Submission.model_fields)}")
    return fields


Renames = Annotated[
    dict[str, str],
    AfterValidator(_known),
    Field(description="Where a field of ours is found: {text: body.message, native_id: id}."),
]
