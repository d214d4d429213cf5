"""The HTTP API (payload format 2.0):

  GET /leaderboards/{application_id}?top=10           the first 1 to 100 players
  GET /leaderboards/{application_id}/player?id=ID     one player, whatever characters the id has

Answers are JSON in ASCII, with escapes: names are what players typed, and whoever shows them in a page has to escape them
there as well.
"""

import json
import urllib.parse
import uuid

import standings
from scores import LONGEST_ID

MOST = 100
HEADERS = {"content-type": "application/json", "x-content-type-options": "nosniff", "cache-control": "no-store"}


class Refused(Exception):
    """A request that can't be answered: a status, and what to do."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def handler(event, _context):
    """Answers a request of API Gateway."""
    try:
        return answer(200, route(event))
    except Refused as refused:
        return answer(refused.status, {"message": str(refused)})


def route(event):
    application_id = an_application(event["pathParameters"]["application_id"])
    # Taken apart here: API Gateway joins what is given twice with commas, which ids may have.
    query = urllib.parse.parse_qs(event.get("rawQueryString", ""), keep_blank_values=True)
    if event["routeKey"].endswith("/player"):
        player_id = query.get("id", [""])[0]
        known = 1 <= len(player_id) <= LONGEST_ID
        row = standings.one(application_id, player_id) if known else None
        if not row:
            raise Refused(404, "no such player has a score here: give the id as ?id=, percent-encoded")
        return shown(row)
    rows = standings.top(application_id, how_many(query))
    return {"application_id": application_id, "players": [{"rank": at, **shown(row)} for at, row in enumerate(rows, 1)]}


def an_application(text):
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Refused(400, "the application's id is a UUID, as `headgate apps list` shows it") from error


def how_many(query):
    text = query.get("top", ["10"])[0]
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST):
        raise Refused(400, f"top is a number from 1 to {MOST}")
    return int(text)


def shown(row):
    numbers = {name: int(row[name]) for name in ("total", "best", "events")}
    return {"player_id": row["player_id"], "player_name": row.get("player_name"), **numbers}


def answer(status, body):
    return {"statusCode": status, "headers": HEADERS, "body": json.dumps(body)}
