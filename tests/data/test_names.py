"""Names from anyone: different names look different, and each is decoded with its own encoding."""

import os

import pytest

from gan.data.names import class_names, guess_encoding, printable, readable


def test_short_names_stay_as_they_are() -> None:
    assert class_names(["cats", "dogs", "größe", "猫"]) == ["cats", "dogs", "größe", "猫"]


def test_names_that_look_the_same_get_a_mark_that_stays_when_others_go() -> None:
    long = ["x" * 70 + end for end in ("a", "b", "c")]
    names = class_names(long)
    assert len(set(names)) == 3 and all(len(name) <= 60 and name.startswith("xxx") for name in names)
    assert class_names(long[1:]) == names[1:] and class_names([*long, "dogs"])[:3] == names
    assert class_names(long[:1]) == ["x" * 59 + "…"]  # nothing to tell apart


def test_names_that_are_not_utf8_stay_different_and_can_be_shown() -> None:
    folders = [os.fsdecode(raw) for raw in (b"caf\xe9", b"caf\xe8", b"caf\xea")]
    names = class_names(folders)
    assert len(set(names)) == 3 and all(name.startswith("caf\N{REPLACEMENT CHARACTER} #") and name.isprintable() for name in names)
    "".join(names).encode()  # no surrogates are left
    assert readable(os.fsdecode("ネコ".encode("cp932"))) == "ネコ"


@pytest.mark.parametrize("text", ["猫", "犬", "ネコ/1.png", "ソ連", "表/1.jpg", "写真/いぬ01.jpg", "カタカナ"])
def test_shift_jis_is_recognized(text: str) -> None:
    assert guess_encoding([text.encode("cp932")]) == "cp932"


@pytest.mark.parametrize("text", ["猫", "狗/1.jpg", "汽车", "飞机_01.png", "东北虎"])
def test_gbk_is_recognized(text: str) -> None:
    assert guess_encoding([text.encode("gbk")]) == "gbk"


@pytest.mark.parametrize("encoding", ["cp437", "cp850", "cp1252"])
@pytest.mark.parametrize("text", ["Äpfel", "Größe", "Straße", "Grün", "naïve", "über", "señor"])
def test_western_names_are_taken_for_neither(text: str, encoding: str) -> None:
    assert guess_encoding([text.encode(encoding)]) is None


def test_one_name_that_does_not_fit_decides() -> None:
    assert guess_encoding(["猫".encode("cp932"), b"\xff\xff"]) is None
    assert guess_encoding([]) is None and guess_encoding([b"plain"]) is None


def test_what_is_shown_has_no_control_characters_and_an_end() -> None:
    assert printable("line\nbreak\u202e") == "line\ufffdbreak\ufffd" and len(printable("x" * 300)) == 100


def test_letters_written_in_two_ways_look_the_same_and_get_a_mark() -> None:
    names = class_names(["\u00e9", "e\u0301", "e"])
    assert names[2] == "e" and all("#" in name for name in names[:2]) and names[0] != names[1]
