import hashlib
from typing import Any

import pytest

from gan import owners
from gan.owners import (
    FREE_GUESSES,
    LOCAL,
    LONGEST_WAIT_S,
    MOST_ADDRESSES,
    STRANGER,
    Guesses,
    NotAllowed,
    Tickets,
    Visitor,
    clean_name,
    guest,
    is_admin_token,
    may_change,
    recognise,
    refusal,
)
from tests.conftest import ADA, BOB

TOKEN = "0123456789abcdef" * 2


def test_a_token_makes_a_visitor_and_cannot_be_read_from_it() -> None:
    who = recognise(TOKEN, "Ada")
    assert who == Visitor("Ada", hashlib.sha256(TOKEN.encode()).hexdigest()[:16]) and not who.admin
    assert TOKEN not in repr(who)
    assert recognise(TOKEN).name == guest(who.id) == f"Guest {who.id[:4]}"
    assert who.named and not recognise(TOKEN).named


@pytest.mark.parametrize("token", [None, "", 7, [], {"id": ADA.id}, ADA.id, TOKEN.upper(), TOKEN + "0", TOKEN[1:], TOKEN + "\n", "g" * 32])
def test_what_is_no_token_makes_a_stranger(token: Any) -> None:
    assert recognise(token, "Ada", admin=True) == STRANGER and not STRANGER.known


def test_knowing_an_id_does_not_make_one_its_owner() -> None:
    who = recognise(TOKEN)
    for forged in (who.id, who.id * 2, who.id + "0" * 16):
        assert recognise(forged, who.name).id != who.id


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Ada\nLove\x00lace\t!", "Ada Lovelace !"),
        ("\u202eadA\u200b", "adA"),
        ("x" * 1000, "x" * 40),
        ("Zoë 李", "Zoë 李"),
        ("\u2028", ""),
        (None, ""),
        (["Ada"], ""),
    ],
)
def test_names_are_one_short_line(name: list[str] | str | None, shown: str) -> None:
    assert clean_name(name) == shown


def test_who_may_change_what(monkeypatch: pytest.MonkeyPatch) -> None:
    assert may_change(ADA.id, ADA) and not may_change(ADA.id, BOB) and not may_change(ADA.id, STRANGER)
    assert all(may_change(nobody, BOB) for nobody in ("", None))  # a personal server
    assert may_change(ADA.id, LOCAL) and may_change("", LOCAL)
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "sesame")
    assert not may_change("", BOB) and may_change(ADA.id, ADA) and may_change("", LOCAL)


def test_the_admin_token_is_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_admin_token("") and not is_admin_token("None")
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "öffne dich")
    assert is_admin_token("öffne dich") and not any(map(is_admin_token, ("", "öffne", "offne dich", "öffne dich ")))
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "")
    assert not is_admin_token("") and owners.is_personal()


def test_a_refusal_says_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [refusal("Ada", ADA.id, "started it", "steer this run"), refusal("", ADA.id, "started it", "steer this run")]
    assert said == ["Only Ada, who started it, can steer this run.", "Only the person who started it can steer this run."]
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", "sesame")
    said = [refusal("A\nda", ADA.id, "started it", "steer this run"), refusal("", "", "started it", "steer this run")]
    assert said == [
        "Only A da, who started it, or the workshop's host can steer this run.",
        "Only the workshop's host can steer this run.",
    ]


@pytest.mark.parametrize(("token", "refused"), [("", False), ("x" * 15, True), ("x" * 16, False), ("open sesame", True)])
def test_a_short_host_token_is_refused_without_being_told(monkeypatch: pytest.MonkeyPatch, token: str, refused: bool) -> None:
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", token)
    if not refused:
        owners.refuse_weak_admin_token()
        return
    with pytest.raises(ValueError, match=f"at least 16 characters; it has {len(token)}") as error:
        owners.refuse_weak_admin_token()
    assert token not in str(error.value)


@pytest.fixture
def guesses(monkeypatch: pytest.MonkeyPatch) -> tuple[Guesses, list[float]]:
    """Counted guesses, and the clock's time in a list of one."""
    monkeypatch.setenv("WORKSHOP_ADMIN_TOKEN", TOKEN)
    now = [1000.0]
    return Guesses(clock=lambda: now[0]), now


def test_guesses_at_the_hosts_token_slow_down_and_are_logged(
    guesses: tuple[Guesses, list[float]], caplog: pytest.LogCaptureFixture
) -> None:
    memory, now = guesses
    for _ in range(FREE_GUESSES):
        assert not memory.try_token("guess", "10.0.0.1")
    waits = []
    for _ in range(12):
        waits.append(memory.wait_s("10.0.0.1"))
        with pytest.raises(NotAllowed, match=f"Try again in {waits[-1]:.0f} seconds"):
            memory.try_token(TOKEN, "10.0.0.1")  # even the right one: else waiting would cost a guesser nothing
        now[0] += waits[-1]
        assert not memory.try_token("guess", "10.0.0.1")
    assert waits == [min(2.0 ** (i + 1), LONGEST_WAIT_S) for i in range(12)]
    assert memory.try_token(TOKEN, "10.0.0.2")  # others do not wait
    assert "17 wrong tokens for the host were given from 10.0.0.1" in caplog.text and "guess" not in caplog.text


def test_guesses_are_forgiven_and_forgotten(guesses: tuple[Guesses, list[float]], monkeypatch: pytest.MonkeyPatch) -> None:
    memory, now = guesses
    for _ in range(FREE_GUESSES):
        memory.try_token("guess", "")
    now[0] += owners.FORGIVEN_AFTER_S + 1
    assert memory.try_token(TOKEN, "") and not memory.try_token("guess", "") and memory.wait_s("") == 0
    monkeypatch.setattr(owners, "MOST_ADDRESSES", 3)
    for number in range(10):
        memory.try_token("guess", f"10.0.0.{number}")
    assert len(memory._wrong) == 3


def test_a_hosts_ticket_counts_for_one_visitor_until_it_is_given_back() -> None:
    tickets = Tickets()
    ticket = tickets.issue("a" * 16)
    assert tickets.valid(ticket, "a" * 16) and not tickets.valid(ticket, "b" * 16) and not tickets.valid(ticket, "")
    for forged in (None, 3, "", "0" * 32, ticket[:-1], ticket.upper() + "é", [ticket], "\ud800" * 32):
        assert not tickets.valid(forged, "a" * 16)
    other = tickets.issue("a" * 16)
    assert other != ticket
    tickets.give_back(ticket)
    assert not tickets.valid(ticket, "a" * 16) and tickets.valid(other, "a" * 16)
    assert ticket not in repr(vars(tickets)), "only hashes are kept"
    for _ in range(MOST_ADDRESSES):
        tickets.issue("c" * 16)
    assert not tickets.valid(other, "a" * 16)
