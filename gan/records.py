"""JSON objects with known fields: checked when read, typed as attributes, and written and sent unchanged."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, Self, TypeVar

from gan.untrusted import is_number, is_whole

T = TypeVar("T")
Rule = tuple[str, Callable[[Any], bool]]  # the rule in words, and a check

LATEST = 1e11  # seconds since 1970 that a calendar can show
ANY: Rule = ("anything", lambda value: True)
TEXT: Rule = ("text", lambda value: isinstance(value, str))
TEXT_OR_NULL: Rule = ("text or null", lambda value: value is None or isinstance(value, str))
COUNT: Rule = ("a whole number from 0 on", lambda value: is_whole(value, 10**15))
COUNT_OR_NULL: Rule = ("a whole number from 0 on, or null", lambda value: value is None or is_whole(value, 10**15))
SECONDS: Rule = ("a number from 0 on", lambda value: is_number(value) and 0 <= value < 1e15)
NUMBER_OR_NULL: Rule = ("a number or null", lambda value: value is None or is_number(value))
MOMENT: Rule = ("seconds since 1970, or null", lambda value: value is None or (is_number(value) and 0 <= value < LATEST))


class Field(Generic[T]):
    """A field of a Record as an attribute: its value, or the default if it is missing or null.

    read: makes the value what the attribute promises, such as a member of an enum.
    """

    def __init__(self, default: T, rule: Rule = ANY, read: Callable[[Any], T] | None = None) -> None:
        self.default, self.rule, self.read = default, rule, read

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, record: "Record", owner: type) -> T:
        value = record.get(self.name)
        return self.default if value is None else self.read(value) if self.read else value


class Record(Mapping[str, Any]):
    """A JSON object. Unknown fields stay in it, so nothing is lost when it is written again."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = dict(content)

    def __getitem__(self, name: str) -> Any:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._content})"

    def change(self, **fields: Any) -> Self:
        """A copy with some fields changed, or added at the end."""
        return type(self)({**self._content, **fields})

    def fault(self) -> str:
        """What is wrong with the first field that breaks its rule; empty if none does."""
        for name, field in vars(type(self)).items():
            if isinstance(field, Field) and name in self._content and not field.rule[1](self._content[name]):
                return f"{name} must be {field.rule[0]}; got {str(self._content[name])[:40]!r}"
        return ""
