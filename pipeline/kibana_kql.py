"""The simple kind of KQL that our dashboards use, read so that it can be checked: conditions joined by `and`.

watchlist.id : "lumora" and not sentiment.label : (neutral or positive) and health.errors > 0 and aspect.name : *
"""

import re
from dataclasses import dataclass
from typing import Literal

from opinionwatch.pipeline.errors import SettingsError

Relation = Literal[":", ">", ">=", "<", "<="]
_CONDITION = re.compile(
    r"(?P<no>not\s+)?(?P<field>@?[a-z_][\w.]*)\s*(?P<relation>:|>=|<=|>|<)\s*"
    r"(?P<value>\*|\((?:[^()\"]|\"[^\"]*\")+\)|\"[^\"]*\"|[^\s()\"]+)$"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `values` are alternatives; none of them means that the field is there at all."""

    field: str
    relation: Relation
    values: tuple[str, ...]
    negated: bool = False


def conditions(kql: str) -> tuple[Condition, ...]:
    """All conditions, which must all hold. Raises SettingsError for any other KQL.

    >>> conditions('not sentiment.label : (neutral or positive)')
    (Condition(field='sentiment.label', relation=':', values=('neutral', 'positive'), negated=True),)
    >>> conditions('aspect.name : *')
    (Condition(field='aspect.name', relation=':', values=(), negated=False),)
    """
    return tuple(map(_condition, re.split(r"\s+and\s+", kql.strip()))) if kql.strip() else ()


def _condition(text: str) -> Condition:
    found = _CONDITION.match(text.strip())
    if found is None:
        raise SettingsError(f"KQL `{text.strip()}`: write `field : value`, joined by `and`")
    value = found["value"]
    values = re.split(r"\s+or\s+", value[1:-1].strip()) if value.startswith("(") else [value]
    plain = () if value == "*" else tuple(each.strip().strip('"') for each in values)
    relation: Relation = found["relation"]  # type: ignore[assignment]  # one of the five by the pattern
    return Condition(found["field"], relation, plain, found["no"] is not None)


def quoted(value: str) -> str:
    """A value for KQL, whatever is in it.

    >>> quoted('a "b" c')
    '"a \\\\"b\\\\" c"'
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
