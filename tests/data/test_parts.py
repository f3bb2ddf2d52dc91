"""Folders called train, test and val: parts of a set, not classes."""

import pytest

from gan.data.archives import Member
from gan.data.parts import Choice, choose, role


def members(*names: str) -> list[Member]:
    return sorted((Member(tuple(name.split("/")), 0, 0, None) for name in names), key=lambda member: member.parts)


def chosen(split: str, *names: str) -> tuple[list[str], Choice]:
    choice = choose(members(*names), split)
    return ["/".join(member.parts) for member in choice.members], choice


@pytest.mark.parametrize("around", ["", "archive/pets/"])
def test_train_and_test_are_parts_with_the_same_classes(around: str) -> None:
    files = [f"{around}{part}/{name}/1.png" for part in ("train", "test") for name in ("cats", "dogs")]
    train, choice = chosen("train", *files)
    assert train == [f"{around}train/cats/1.png", f"{around}train/dogs/1.png"]
    assert (choice.classes, choice.numbers, choice.tests) == (["cats", "dogs"], [0, 1], 2)
    assert choice.notes == ["the training images are in train/ (2), the test images in test/ (2)"]
    test, choice = chosen("test", *files)
    assert test == [f"{around}test/cats/1.png", f"{around}test/dogs/1.png"] and choice.numbers == [0, 1]
    every, choice = chosen("all", *files)
    assert len(every) == 4 and choice.numbers == [0, 1, 0, 1] and choice.classes == ["cats", "dogs"]


def test_parts_within_parts_and_what_lies_next_to_them() -> None:
    files = [f"seg_{part}/seg_{part}/{name}/1.png" for part in ("train", "test") for name in ("sea", "forest")]
    train, choice = chosen("train", *files, "seg_pred/seg_pred/1.png", "preview.png")
    assert train == ["seg_train/seg_train/forest/1.png", "seg_train/seg_train/sea/1.png"] and choice.classes == ["forest", "sea"]
    assert dict(choice.left_out.reasons) == {"is next to the folders for training and testing": 2}
    assert choice.left_out.sentences[0].startswith("preview.png: ")


def test_parts_without_classes() -> None:
    train, choice = chosen("train", "train/1.png", "train/2.png", "val/3.png")
    assert train == ["train/1.png", "train/2.png"] and choice.classes == [] and choice.numbers == [0, 0] and choice.tests == 1
    assert chosen("test", "train/1.png", "val/3.png")[0] == ["val/3.png"]
    assert choice.notes == ["the training images are in train/ (2), the test images in val/ (1)"]


def test_test_images_belong_to_the_classes_of_the_training_images() -> None:
    files = ["train/cats/1.png", "train/dogs/1.png", "test/dogs/2.png", "valid/birds/3.png", "test/4.png"]
    test, choice = chosen("test", *files)
    assert test == ["test/dogs/2.png"] and choice.numbers == [1] and choice.classes == ["cats", "dogs"]
    assert dict(choice.left_out.reasons) == {"is a test image of a class that the training images lack": 2}
    assert len(chosen("all", *files)[0]) == 3


def test_a_train_among_other_classes_is_a_class() -> None:
    for files in (["train/1.png", "car/2.png", "bus/3.png"], ["train/1.png", "test tube/1.png", "car/1.png", "dog/1.png"]):
        every, choice = chosen("train", *files)
        assert len(every) == len(files) and choice.classes == sorted(file.split("/")[0] for file in files) and not choice.notes
    assert chosen("test", "train/1.png", "car/2.png")[0] == []  # there are no test images
    assert chosen("train", "test/a/1.png", "val/b/1.png")[1].classes == ["test", "val"]  # nothing to train on otherwise


def test_classes_with_parts_inside_stay_classes() -> None:
    assert chosen("train", "cats/train/1.png", "cats/test/2.png", "dogs/train/1.png")[1].classes == ["cats", "dogs"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train", "train"),
        ("Training_Set", "train"),
        ("train2017", "train"),
        ("seg_train", "train"),
        ("VAL", "test"),
        ("test1", "test"),
        ("validation", "test"),
        ("trains", None),
        ("train_test", None),
        ("cats", None),
        ("", None),
    ],
)
def test_what_a_name_says(name: str, expected: str | None) -> None:
    assert role(name) == expected


def test_classes_whose_names_look_the_same_stay_different() -> None:
    long = "x" * 60
    _, choice = chosen("train", f"{long}a/1.png", f"{long}b/1.png", f"{long}c/1.png")
    assert len(set(choice.classes)) == 3 and choice.numbers == [choice.numbers[0], choice.numbers[1], choice.numbers[2]]
    assert sorted(choice.numbers) == [0, 1, 2]


def test_a_few_images_next_to_class_folders_are_told() -> None:
    files = [f"{name}/{i}.png" for name in ("cats", "dogs") for i in range(3)]
    names, choice = chosen("train", *files, "logo.png")
    assert len(names) == 7 and choice.classes == []
    assert choice.notes == ["the folders are not classes, because 1 image is next to them (logo.png): move or remove them to get labels"]
    assert not chosen("train", *files)[1].notes and not chosen("train", "1.png", "2.png", "more/3.png")[1].notes
    split = [f"{part}/{file}" for part in ("train", "test") for file in files]
    assert len(chosen("train", *split, "train/logo.png")[1].notes) == 2 and len(chosen("train", *split)[1].notes) == 1
