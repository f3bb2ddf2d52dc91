import itertools

import pytest

from gan.config import TrainConfig
from gan.events import Done
from gan.runs.turns import kind, left_s, order, starts


@pytest.mark.parametrize(
    ("waiting", "at_work", "turns"),
    [
        ("", "", ""),
        ("aaa", "", "aaa"),
        ("aaab", "", "abaa"),
        ("aab", "a", "baa"),
        ("abcabc", "", "abcabc"),
        ("aabbc", "b", "acabb"),
        ("aaaabbc", "ac", "babcaaa"),
    ],
)
def test_everybodys_first_run_comes_before_anybodys_second(waiting: str, at_work: str, turns: str) -> None:
    indices = order([(owner, 0.0) for owner in waiting], at_work)
    assert "".join(waiting[i] for i in indices) == turns
    assert sorted(indices) == list(range(len(waiting)))


def test_who_has_just_had_a_turn_comes_after_those_who_waited_meanwhile_and_before_those_who_come_later() -> None:
    assert order([("a", 1), ("b", 2), ("c", 200)], "") == [0, 1, 2]
    assert order([("a", 100), ("b", 2), ("c", 200)], "") == [1, 0, 2]  # a run of a's ended at 100
    assert order([("a", 100), ("a", 100), ("b", 2), ("b", 3)], "") == [2, 0, 3, 1]


def test_each_run_in_turn_has_at_least_as_many_of_its_owners_before_it_as_the_one_ahead() -> None:
    for length, busy in itertools.product(range(6), range(3)):
        for waiting, at_work in itertools.product(itertools.product("abc", repeat=length), itertools.product("abc", repeat=busy)):
            indices = order([(owner, 0.0) for owner in waiting], at_work)
            turns = [waiting[i] for i in indices]
            ranks = [turns[:place].count(owner) + at_work.count(owner) for place, owner in enumerate(turns)]
            assert ranks == sorted(ranks)
            for owner in "abc":  # and an owner's own start in the order of their submission
                assert (own := [i for i in indices if waiting[i] == owner]) == sorted(own)


def test_starts_follow_the_slots_that_become_free() -> None:
    assert starts([0], [10, 20, 5]) == [0, 10, 30]
    assert starts([30, 5], [10, 20, 5]) == [5, 15, 30]
    assert starts([None], [10]) == [None]
    assert starts([None, 5], [None, 10]) == [5, None]
    assert starts([-1], [0, 7]) == [0, 0]
    assert starts([3], []) == []


def test_what_is_left_follows_from_the_speed_of_a_run_of_the_same_kind(config: TrainConfig) -> None:
    like = Done(step=100, images_seen=800, elapsed_s=10)
    seconds, steps, epochs = (config.change(duration=60, duration_unit=unit) for unit in ("seconds", "steps", "epochs"))
    assert left_s(seconds, Done(elapsed_s=20), None, None) == 40
    assert left_s(steps, Done(step=20), like, None) == pytest.approx(4)
    assert left_s(steps, Done(), None, None) is None
    assert left_s(epochs, Done(), like, None) is None
    assert left_s(epochs, Done(images_seen=480), like, 50) == pytest.approx((60 * 48 - 480) / 80)
    assert left_s(epochs, Done(), like, 7) is None  # less than a batch: no epoch
    assert left_s(epochs, Done(), Done(step=100, elapsed_s=10), 50) is None  # a status that says no images
    assert left_s(steps, Done(step=70), like, None) == 0
    assert left_s(steps, Done(), Done(), None) is None
    assert kind(config) == kind(config.change(seed=3, lr_g=0.1, duration=7)) != kind(config.change(batch_size=16))
    penalized = config.change(discriminator_norm="none", r1=5)
    assert kind(penalized) == kind(penalized.change(r1=10)) != kind(penalized.change(r1=0)), "a penalty takes time, whatever its weight"
    assert kind(config) != kind(config.change(generator_upsampling="resize")), "a step takes a quarter longer"
