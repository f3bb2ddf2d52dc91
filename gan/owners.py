"""Who is who on a server, without passwords: a browser keeps a secret token, and what it starts carries the token's hash.

may_change() is the rule for what one visitor may do to another's things. Knows nothing about pages or runs.
"""

import hashlib
import hmac
import logging
import math
import os
import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

LONGEST_NAME = 40
SHORTEST_ADMIN_TOKEN = 16  # characters
FREE_GUESSES = 5  # wrong guesses at the host's token per address; after that, each guess has to wait twice as long as the last
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
FORGIVEN_AFTER_S = 900.0  # since the last wrong guess
MOST_ADDRESSES = 1000  # that are remembered
WHO_ARE_YOU = "The server does not know who you are yet: reload the page."
_TOKEN = re.compile(r"[0-9a-f]{32}")


class NotAllowed(PermissionError):
    """Someone asked for what only the owner, or the workshop's host, may do."""


@dataclass(frozen=True)
class Visitor:
    """Someone who uses the server.

    name: for people; anyone can take any name. id: 16 hexadecimal digits, the hash of the browser's token. It is public
    and proves nothing: only the token does. Empty until the browser has answered.
    admin: has entered WORKSHOP_ADMIN_TOKEN, and may do everything.
    """

    name: str
    id: str
    admin: bool = False

    @property
    def known(self) -> bool:
        """Whether it is clear who this is."""
        return bool(self.id) or self.admin

    @property
    def named(self) -> bool:
        """Whether they have given a name."""
        return bool(self.name) and self.name != guest(self.id)


STRANGER = Visitor("", "")
LOCAL = Visitor("", "", admin=True)  # scripts and tests on the server's own machine


def recognise(token: object, name: object = "", admin: bool = False) -> Visitor:
    """The visitor with this token, or a stranger if it is not a valid token. Both arguments come from the browser and may be anything.

    token: 128 random bits as 32 hexadecimal digits. It is used here and stored nowhere.
    """
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return STRANGER
    identity = hashlib.sha256(token.encode()).hexdigest()[:16]
    return Visitor(clean_name(name) or guest(identity), identity, admin)


def guest(visitor_id: str) -> str:
    """The name of someone who has not entered one."""
    return f"Guest {visitor_id[:4]}"


def clean_name(name: object) -> str:
    """A name as shown: one line, no control characters, at most 40 characters; empty if it is not text."""
    if not isinstance(name, str):
        return ""
    # Unicode's category C: control and formatting characters, such as those that reverse the writing direction.
    visible = "".join(" " if c.isspace() else c for c in name[: 10 * LONGEST_NAME] if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(visible.split())[:LONGEST_NAME].strip()


def is_personal() -> bool:
    """Whether this server has no host: WORKSHOP_ADMIN_TOKEN is not set."""
    return not os.environ.get("WORKSHOP_ADMIN_TOKEN")


def is_admin_token(text: str) -> bool:
    """Whether a text is WORKSHOP_ADMIN_TOKEN; False if none is set."""
    token = os.environ.get("WORKSHOP_ADMIN_TOKEN", "")
    return bool(token) and hmac.compare_digest(text.encode(), token.encode())


def refuse_weak_admin_token() -> None:
    """Call it when a server starts.

    Raises:
        ValueError: WORKSHOP_ADMIN_TOKEN is set, and so short that it could be guessed.
    """
    token = os.environ.get("WORKSHOP_ADMIN_TOKEN", "")
    if token and len(token) < SHORTEST_ADMIN_TOKEN:
        raise ValueError(
            f"WORKSHOP_ADMIN_TOKEN must have at least {SHORTEST_ADMIN_TOKEN} characters; it has {len(token)}. "
            'Choose a random one: python -c "import secrets; print(secrets.token_urlsafe())"'
        )


class Guesses:
    """Counts wrong tokens by address: after a few, each further guess must wait. Safe to use from any thread.

    Visitors behind one proxy may share an address and therefore the wait. The token's length is what makes it hard to guess.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: returns seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}  # by address: how many, and when the last one was

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again; 0 for now."""
        with self._lock:
            number, last = self._wrong.get(address, (0, 0.0))
            rested = self._clock() - last
            if number < FREE_GUESSES or rested > FORGIVEN_AFTER_S:
                return 0.0
            return max(0.0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(number - FREE_GUESSES, 20)) - rested)

    def try_token(self, text: str, address: str) -> bool:
        """Whether a text is WORKSHOP_ADMIN_TOKEN. Wrong tokens are counted, and logged once there are many.

        Raises:
            NotAllowed: the address must wait first; the message says how long. The text is not checked.
        """
        if wait_s := self.wait_s(address):
            raise NotAllowed(f"Too many wrong tokens were given. Try again in {math.ceil(wait_s)} seconds.")
        if is_admin_token(text):
            return True
        with self._lock:
            now = self._clock()
            number, last = self._wrong.pop(address, (0, now))
            number = number + 1 if now - last <= FORGIVEN_AFTER_S else 1
            self._wrong[address] = (number, now)  # last in the order
            while len(self._wrong) > MOST_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
        if number >= FREE_GUESSES:
            log.warning("%d wrong tokens for the host were given from %s", number, address or "an unknown address")
        return False


class Tickets:
    """What a host's tab keeps instead of the token, so that it is still the host's after a reload. Safe to use from any thread.

    A ticket is random, counts for one visitor, until it is given back or the server ends; only its hash is kept here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, str] = {}  # by the ticket's hash: the visitor's id

    def issue(self, visitor_id: str) -> str:
        """A new ticket, for a visitor who has just given the token."""
        ticket = secrets.token_hex(16)
        with self._lock:
            self._owners[_hash(ticket)] = visitor_id
            while len(self._owners) > MOST_ADDRESSES:
                del self._owners[next(iter(self._owners))]
        return ticket

    def valid(self, ticket: object, visitor_id: str) -> bool:
        """Whether this is a ticket of this visitor. It may be anything: it comes from a browser."""
        if not isinstance(ticket, str) or len(ticket) != 32 or not visitor_id:
            return False
        with self._lock:
            return self._owners.get(_hash(ticket)) == visitor_id

    def give_back(self, ticket: str) -> None:
        """Nobody is the host by this ticket any longer."""
        with self._lock:
            self._owners.pop(_hash(ticket), None)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def may_change(owner_id: object, visitor: Visitor) -> bool:
    """Whether a visitor may change what an owner left: the owner and the host may.

    Without an owner, anyone on a server without a host may.
    """
    if visitor.admin:
        return True
    if owner_id:
        return owner_id == visitor.id
    return is_personal()


def refusal(owner: object, owner_id: object, deed: str, what: str) -> str:
    """Who may do something, in one sentence. deed: what the owner did. what: what only they may do."""
    host = "" if is_personal() else "the workshop's host"
    name = clean_name(owner)
    whose = (f"{name}, who {deed}," if name else f"the person who {deed}") if owner_id else ""
    return f"Only {' or '.join(part for part in (whose, host) if part) or 'the server itself'} can {what}."
