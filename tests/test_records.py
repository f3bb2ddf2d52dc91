import json
from typing import Any

import pytest

from gan.records import COUNT, TEXT_OR_NULL, Field, Record


class Note(Record):
    step = Field(0, COUNT)
    owner = Field("", TEXT_OR_NULL)
    loss = Field[float | None](None)


def test_fields_are_typed_and_the_mapping_stays_as_it_was() -> None:
    content = {"later": [1], "step": 3, "owner": None}
    note = Note(content)
    assert (note.step, note.owner, note.loss) == (3, "", None)
    assert note == content and note["owner"] is None and list(note) == ["later", "step", "owner"] and len(note) == 3
    assert json.dumps(dict(note)) == json.dumps(content), "unknown fields and their order stay; what was not there is not added"
    with pytest.raises(KeyError):
        note["loss"]


def test_a_change_is_a_copy() -> None:
    note = Note({"a": 1, "step": 3})
    changed = note.change(step=4, loss=0.5)
    assert isinstance(changed, Note) and list(changed.items()) == [("a", 1), ("step", 4), ("loss", 0.5)] and note.step == 3
    assert not Note({}) and Note({}) == {}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({}, ""),
        ({"step": 3, "owner": None, "loss": "anything", "other": -1}, ""),
        ({"step": -1}, "step must be a whole number from 0 on; got '-1'"),
        ({"step": None}, "step must be a whole number from 0 on; got 'None'"),
        ({"step": True, "owner": 3}, "step must be a whole number from 0 on; got 'True'"),
        ({"owner": 3}, "owner must be text or null; got '3'"),
    ],
)
def test_the_first_field_that_breaks_its_rule_is_named(content: dict[str, Any], fault: str) -> None:
    assert Note(content).fault() == fault
