"""The table: one row a player, from which the ranks are an index.

Kinesis and Lambda hand an event over at least once, so a row remembers which events are in it: eight bytes of each id and
four of its time, for `REMEMBER_HOURS`. A write adds scores and marks at once, under the condition that nobody else wrote in
between. What comes again is found among the marks and not added: no second table, no transaction, one write for all of a
player's scores in a batch.

The index is spread over `PARTITIONS` keys an application. With one, all changes of a game's ranks would go to one
partition, which takes 1,000 units a second, and what an index can't take its table refuses.
"""

import concurrent.futures
import hashlib
import heapq
import itertools
import os
import struct

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TABLE = os.environ.get("TABLE", "leaderboard")
INDEX = "Ranks"
PARTITIONS = int(os.environ.get("PARTITIONS", "4"))
REMEMBER_SECONDS = int(os.environ.get("REMEMBER_HOURS", "96")) * 3600
FORGET_SECONDS = int(os.environ.get("FORGET_DAYS", "400")) * 86_400
# Marks of a row, so that it stays small whatever one player does (48 KB). Beyond it the oldest are forgotten early.
MOST_MARKS = 4_000
MARK = struct.Struct(">8sI")
# The most that can be ranked; a row's total itself may be larger.
MOST_TOTAL = 10**15 - 1
# Others that write the same row at the same time are the invocations of other shards.
ATTEMPTS = 20

# A client that takes Python's values as a resource does; unlike a resource it may be used by many threads. Pauses between
# attempts are the SDK's; after the last one Lambda hands the records over again.
dynamodb = boto3.resource(
    "dynamodb",
    config=Config(connect_timeout=2, read_timeout=5, max_pool_connections=32, retries={"mode": "standard", "total_max_attempts": 5}),
).meta.client


class Contended(RuntimeError):
    """A row was written by others each time; the records have to come again."""


def add(application_id, player_id, scores):
    """Adds those of a player's scores that their row does not have yet, and says how many those were."""
    key = f"{application_id}#{player_id}"
    for _ in range(ATTEMPTS):
        row = dynamodb.get_item(TableName=TABLE, Key={"player": key}, ConsistentRead=True).get("Item")
        written, added = with_scores(row, key, scores)
        if not added:
            return 0
        # A row that was deleted in between is not brought back by halves.
        condition = {"ConditionExpression": "attribute_not_exists(player)"}
        if row:
            condition = {"ConditionExpression": "version = :read", "ExpressionAttributeValues": {":read": row["version"]}}
        try:
            dynamodb.put_item(TableName=TABLE, Item=written, **condition)
            return added
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
    # Not whose: the log is not where players are named.
    raise Contended(f"a row was written by others {ATTEMPTS} times in a row")


def with_scores(row, key, scores):
    """The row with these scores in it, and how many of them it did not have."""
    row = row or {"player": key, "total": 0, "best": 0, "events": 0, "version": 0}
    marks = dict(MARK.iter_unpack(bytes(row.get("marks", b""))))
    fresh = {}
    for score in scores:
        if score.mark not in marks:
            fresh.setdefault(score.mark, score)
    if not fresh:
        return row, 0
    application_id, player_id = scores[0].application_id, scores[0].player_id
    total = int(row["total"]) + sum(score.score for score in fresh.values())
    marks.update((score.mark, score.arrived) for score in fresh.values())
    latest = max(marks.values())
    kept = sorted((arrived, mark) for mark, arrived in marks.items() if arrived > latest - REMEMBER_SECONDS)[-MOST_MARKS:]
    return {
        "player": key,
        "application_id": application_id,
        "player_id": player_id,
        **latest_name(row, fresh.values()),
        "total": total,
        "best": max(int(row["best"]), *(score.score for score in fresh.values())),
        "events": int(row["events"]) + len(fresh),
        "marks": b"".join(MARK.pack(mark, arrived) for arrived, mark in kept),
        "version": int(row["version"]) + 1,
        "board": board(application_id, partition(player_id)),
        "rank": rank(total, player_id),
        "expires_at": latest + FORGET_SECONDS,
    }, len(fresh)


def latest_name(row, scores):
    """The name that was in the latest event with one, by the client's clock."""
    named = [(round(score.at * 1_000), score.player_name) for score in scores if score.player_name is not None]
    if "player_name" in row:
        named.append((int(row["named_at_ms"]), row["player_name"]))
    if not named:
        return {}
    at_ms, name = max(named)
    return {"player_name": name, "named_at_ms": at_ms}


def rank(total, player_id):
    """Sorts the highest total first, and equal ones by player: everybody who asks sees one order."""
    return f"{MOST_TOTAL - min(total, MOST_TOTAL):015d}#{player_id}"


def board(application_id, number):
    return f"{application_id}#{number}"


def partition(player_id):
    return int.from_bytes(hashlib.blake2b(player_id.encode(), digest_size=4).digest(), "big") % PARTITIONS


def top(application_id, count):
    """The first of an application, as rows of the index: the best of each partition, merged."""

    def best_of(number):
        page = dynamodb.query(
            TableName=TABLE,
            IndexName=INDEX,
            KeyConditionExpression="board = :board",
            ExpressionAttributeValues={":board": board(application_id, number)},
            Limit=count,
        )
        return page["Items"]

    with concurrent.futures.ThreadPoolExecutor(PARTITIONS) as pool:
        partitions = list(pool.map(best_of, range(PARTITIONS)))
    return list(itertools.islice(heapq.merge(*partitions, key=lambda row: row["rank"].encode()), count))


def one(application_id, player_id):
    """A player's row, or None."""
    return dynamodb.get_item(TableName=TABLE, Key={"player": f"{application_id}#{player_id}"}).get("Item")
