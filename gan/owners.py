"""Who is who at one server, without passwords: a browser keeps a secret token, and what it starts carries the token's hash.

Knows nothing of pages or runs.
"""

import hashlib
import hmac
import os
import re
import unicodedata
from dataclasses import dataclass

LONGEST_NAME = 40
WHO_ARE_YOU = "Your browser has not said who you are: reload the page."
_TOKEN = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[0-9a-f]{16}")


class NotAllowed(PermissionError):
    """Somebody asked for what only the owner, or the workshop's host, may do."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who uses the server.

    name: for people; anybody can take any name. id: 16 hexadecimal digits, the hash of the browser's token. It is public,
    and proves nothing: who is given an id was asked for the token. Empty while the browser has not answered.
    admin: has given WORKSHOP_ADMIN_TOKEN, and may do everything.
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
    """The visitor with a token; a stranger where it is not one. Both come from the browser, and may be anything.

    token: 128 random bits as 32 hexadecimal digits. It is used here and kept nowhere.
    """
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return STRANGER
    identity = hashlib.sha256(token.encode()).hexdigest()[:16]
    return Visitor(clean_name(name) or guest(identity), identity, admin)


def guest(visitor_id: str) -> str:
    """What somebody is called who has given no name."""
    return f"Guest {visitor_id[:4]}"


def clean_name(name: object) -> str:
    """A name as it is shown: on one line, without control characters, at most 40 characters; empty for what is no text."""
    if not isinstance(name, str):
        return ""
    # Unicode's category C: control and formatting characters, such as those that turn the direction of what follows.
    visible = "".join(" " if c.isspace() else c for c in name[: 10 * LONGEST_NAME] if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(visible.split())[:LONGEST_NAME].strip()


def is_visitor_id(text: str) -> bool:
    """Whether a text can be a visitor's id."""
    return _ID.fullmatch(text) is not None


def is_personal() -> bool:
    """Whether this server has no host: WORKSHOP_ADMIN_TOKEN is not set."""
    return not os.environ.get("WORKSHOP_ADMIN_TOKEN")


def is_admin_token(text: str) -> bool:
    """Whether a text is WORKSHOP_ADMIN_TOKEN; never, where none is set."""
    token = os.environ.get("WORKSHOP_ADMIN_TOKEN", "")
    return bool(token) and hmac.compare_digest(text.encode(), token.encode())


def may_change(owner_id: object, visitor: Visitor) -> bool:
    """Whether a visitor may change what an owner left: the owner and the host may; what nobody owns anybody on a personal server."""
    if visitor.admin:
        return True
    if owner_id:
        return owner_id == visitor.id
    return is_personal()


def refusal(owner: object, owner_id: object, deed: str, what: str) -> str:
    """Who alone may do something, in one sentence. deed: what made it the owner's. what: they may do."""
    host = "" if is_personal() else "the workshop's host"
    name = clean_name(owner)
    whose = (f"{name}, who {deed}," if name else f"whoever {deed}") if owner_id else ""
    return f"Only {' or '.join(part for part in (whose, host) if part) or 'the server itself'} can {what}."
