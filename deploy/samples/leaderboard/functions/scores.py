"""What a line of the stream says about a player's score.

A game that scores otherwise changes this file: `EVENT_TYPE` and `MEMBER` come from the template, the rest is here.
"""

import hashlib
import json
import os
import re
import typing
import uuid

EVENT_TYPE = os.environ.get("EVENT_TYPE", "match_end")
MEMBER = os.environ.get("MEMBER", "score")
# Whole numbers only: fractions would add up to something else in another order. What is larger is no score but a cheat.
MOST = 1_000_000_000
WHOLE = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
# Characters, of four bytes at most. DynamoDB takes 1,024 bytes for the key in which a player's id stands.
LONGEST_ID = 240
LONGEST_NAME = 64


class NoScore(ValueError):
    """The line is a record of the event type and says no score: a client's fault, which is counted and passed over."""


class Score(typing.NamedTuple):
    """One event's score."""

    application_id: str
    player_id: str
    # None if the event does not say.
    player_name: str | None
    score: int
    # Seconds since 1970-01-01 UTC at the client, with its fraction; for which name is the latest, and nothing else.
    at: float
    # When the stream got it, whole seconds: the same however often it is read.
    arrived: int
    # Of the event's id: eight bytes tell the few thousand events of one player apart.
    mark: bytes


def read(line, arrived):
    """The score in a line, or None where the event is of another type.

    Members are read as queries over the lake read them (`json_extract_scalar`): numbers as the text that stands there, in
    quotes or not, and of a member that comes twice the first.
    """
    # The gateway writes an event's type without escapes. Most lines are left here, unparsed.
    if b'"' + EVENT_TYPE.encode() + b'"' not in line:
        return None
    try:
        record = json.loads(line, object_pairs_hook=first_ones, parse_int=str, parse_float=str, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise NoScore("is not JSON") from error
    event = member(record, "event", dict)
    if event.get("event_type") != EVENT_TYPE:
        return None
    data = member(event, "event_data", dict)
    score = member(data, MEMBER, str)
    if not WHOLE.fullmatch(score) or int(score) > MOST:
        raise NoScore(f"has a {MEMBER} that is no whole number from 0 to {MOST}")
    try:
        mark = hashlib.blake2b(uuid.UUID(member(event, "event_id", str)).bytes, digest_size=8).digest()
        at = float(member(event, "event_timestamp", str))
    except ValueError as error:
        raise NoScore("has no UUID for an event_id, or no time") from error
    return Score(member(record, "application_id", str), player(data), name(data), int(score), at, arrived, mark)


def first_ones(pairs):
    # The last of those that come twice is written first, and the first one over it.
    return dict(reversed(pairs))


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def member(value, wanted, kind):
    found = value.get(wanted) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise NoScore(f"has no {wanted}, or one of another kind")
    return found


def player(data):
    """The player's id, a string or a number, as docs/privacy.md has it."""
    found = member(data, "player_id", str)
    if not 1 <= len(found) <= LONGEST_ID:
        raise NoScore(f"has a player_id of {len(found)} characters, not 1 to {LONGEST_ID}")
    if not whole(found):
        raise NoScore("has a player_id with half a character (a lone surrogate), which can't be stored")
    return found


def name(data):
    """The player's name: whatever characters they like, but not without end. None where there is none that can be stored."""
    found = data.get("player_name")
    return found[:LONGEST_NAME] if isinstance(found, str) and whole(found) else None


def whole(text):
    """JSON can say half of a pair of surrogates; UTF-8 can't."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
