"""What the functions promise, without AWS: `python3 -m unittest discover deploy/samples/leaderboard/tests`.

Needs boto3, which Lambda brings, and aws-kinesis-agg, whose aggregated records are taken apart here.
"""

import base64
import contextlib
import io
import json
import os
import pathlib
import random
import sys
import threading
import unittest
import uuid

import aws_kinesis_agg.aggregator
from botocore.exceptions import ClientError

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "functions"))

import consume
import records
import scores
import serve
import standings

GAME = str(uuid.UUID(int=7))
ARRIVED = 1_800_000_000


def line(data, event_type="match_end", event_id=None, at=ARRIVED, application_id=GAME):
    """A stream record, as docs/aws.md has it."""
    event = {"event_id": event_id or str(uuid.uuid4()), "event_type": event_type, "event_name": "end", "event_timestamp": at}
    event = json.dumps(event)[:-1] + f', "event_data": {data if isinstance(data, str) else json.dumps(data)}}}'
    return f'{{"event":{event},"aws_ga_api_validated_flag":true,"application_id":"{application_id}"}}\n'.encode()


def record(data, sequence="1"):
    """A record of Lambda's event."""
    kinesis = {"data": base64.b64encode(data).decode(), "sequenceNumber": sequence, "approximateArrivalTimestamp": ARRIVED + 0.5}
    return {"kinesis": kinesis}


def aggregated(pieces):
    aggregator = aws_kinesis_agg.aggregator.RecordAggregator()
    for piece in pieces:
        assert aggregator.add_user_record("key", piece) is None
    return aggregator.clear_and_get().get_contents()[2]


class Table:
    """As much of DynamoDB as the functions use, with conditions, and refusals on demand."""

    def __init__(self):
        self.rows, self.lock, self.refused, self.between = {}, threading.Lock(), set(), None

    def get_item(self, TableName, Key, ConsistentRead=False):
        with self.lock:
            row = self.rows.get(Key["player"])
        if self.between:
            self.between()
        return {"Item": dict(row)} if row else {}

    def put_item(self, TableName, Item, ConditionExpression, ExpressionAttributeValues=None):
        with self.lock:
            if Item["player_id"] in self.refused:
                raise error("ProvisionedThroughputExceededException")
            row = self.rows.get(Item["player"])
            read = (ExpressionAttributeValues or {}).get(":read")
            if (row and row["version"]) != read:
                raise error("ConditionalCheckFailedException")
            self.rows[Item["player"]] = dict(Item)

    def query(self, TableName, IndexName, KeyConditionExpression, ExpressionAttributeValues, Limit):
        found = [row for row in self.rows.values() if row["board"] == ExpressionAttributeValues[":board"]]
        return {"Items": sorted(found, key=lambda row: row["rank"].encode())[:Limit]}


def error(code):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem")


class OnATable(unittest.TestCase):
    def setUp(self):
        self.table = Table()
        self.addCleanup(setattr, standings, "dynamodb", standings.dynamodb)
        standings.dynamodb = self.table

    def consumed(self, *batch):
        """The answer, and what the log's last line says."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            answer = consume.handler({"Records": list(batch)}, None)
        return answer["batchItemFailures"], json.loads(said.getvalue().splitlines()[-1])

    def asked(self, path, query=""):
        key = "GET /leaderboards/{application_id}" + path
        answer = serve.handler({"routeKey": key, "pathParameters": {"application_id": GAME}, "rawQueryString": query}, None)
        return answer["statusCode"], json.loads(answer["body"])


class Records(unittest.TestCase):
    def test_what_the_stock_aggregator_puts_together_is_taken_apart(self):
        pieces = [line({"player_id": str(n), "score": n}) for n in range(200)] + [b"", b"one\ntwo\n"]
        found = list(records.lines(record(aggregated(pieces))))
        self.assertEqual(found, [piece.rstrip(b"\n") for piece in pieces[:-2]] + [b"one", b"two"])

    def test_a_record_of_one_event_is_read_too(self):
        self.assertEqual(list(records.lines(record(b"one\n"))), [b"one"])
        self.assertEqual(list(records.lines(record(b""))), [])

    def test_every_damage_to_an_aggregate_is_said_to_be_one(self):
        whole = aggregated([b"one\n", b"two\n"])
        for at in range(len(records.MAGIC), len(whole)):
            with self.assertRaises(records.Unreadable):
                list(records.lines(record(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])))
        for length in range(len(records.MAGIC), len(whole)):
            with self.assertRaises(records.Unreadable):
                list(records.lines(record(whole[:length])))

    def test_no_message_makes_it_fail_otherwise(self):
        draw = random.Random(7)
        for _ in range(20_000):
            try:
                list(records.fields(draw.randbytes(draw.randrange(24)), records.RECORDS))
            except records.Unreadable:
                pass


class Scores(unittest.TestCase):
    def read(self, data, **event):
        return scores.read(line(data, **event), ARRIVED)

    def test_events_of_other_types_are_passed_over(self):
        self.assertIsNone(self.read({"player_id": "p", "score": 1}, event_type="login"))
        # The type's name stands in it, elsewhere.
        self.assertIsNone(self.read({"player_id": "p", "score": 1, "next": "match_end"}, event_type="login"))

    def test_members_are_read_as_the_lake_reads_them(self):
        same = ['{"player_id":7,"score":12}', '{"player_id":"7","score":"12","score":13}', '{"player_\\u0069d":"7","sc\\u006fre":12}']
        for data in same:
            score = self.read(data)
            self.assertEqual((score.player_id, score.score), ("7", 12), data)

    def test_what_is_no_score_says_why(self):
        for data in [
            '{"player_id":"p"}', '{"score":1}', '{"player_id":"p","score":1.0}', '{"player_id":"p","score":-1}',
            '{"player_id":"p","score":true}', '{"player_id":"p","score":"007"}', '{"player_id":"p","score":1000000001}',
            '{"player_id":"p","score":1e3}', '{"player_id":"p","score":NaN}', '{"player_id":"p","score":null}',
            '{"player_id":"p","score":[1]}', '{"player_id":"","score":1}', '{"player_id":"%s","score":1}' % ("x" * 241),
            '{"player_id":"\\ud800","score":1}', '{"player_id":true,"score":1}', '{"player_id":{},"score":1}', "[]", "null",
            '{"player_id":"p","score":%s}' % ("9" * 5_000), "[" * 100_000, '{"player_id":"p","score":٣}',
        ]:
            with self.assertRaises(scores.NoScore, msg=data[:60]):
                self.read(data)
        with self.assertRaises(scores.NoScore):
            self.read({"player_id": "p", "score": 1}, event_id="p")

    def test_names_are_kept_as_far_as_they_can_be(self):
        named = {"": "", "a'\"<b>\\\n\x00": "a'\"<b>\\\n\x00", "漢字😀" * 30: ("漢字😀" * 30)[:64], "\ud800": None, 7: None}
        for name, kept in named.items():
            read = self.read({"player_id": "p", "score": 1, "player_name": name})
            # A number is a name to the lake, too.
            self.assertEqual(read.player_name, "7" if name == 7 else kept)


class Standings(OnATable):
    def test_whatever_comes_again_counts_once(self):
        draw = random.Random(7)
        lines = [line({"player_id": f"p{n % 9}", "score": n}) for n in range(300)]
        for _ in range(4):
            draw.shuffle(lines)
            batch = [record(aggregated(lines[n:n + 30]), str(n)) for n in range(0, 300, 30)]
            for n in range(0, len(batch), 3):
                self.assertEqual(self.consumed(*batch[n:n + 3], batch[0])[0], [])
        for player in range(9):
            of_it = range(player, 300, 9)
            row = self.table.rows[f"{GAME}#p{player}"]
            self.assertEqual((row["total"], row["best"], row["events"]), (sum(of_it), max(of_it), len(of_it)))

    def test_an_event_of_another_game_is_another_event(self):
        event_id = str(uuid.uuid4())
        other = str(uuid.UUID(int=8))
        one = [line({"player_id": "p", "score": 5}, event_id=event_id, application_id=game) for game in (GAME, other)]
        self.consumed(record(b"".join(one)))
        self.assertEqual([self.table.rows[f"{game}#p"]["total"] for game in (GAME, other)], [5, 5])

    def test_invocations_that_meet_at_a_row_both_count(self):
        def meanwhile():
            self.table.between = None
            self.consumed(record(line({"player_id": "p", "score": 100})))

        self.table.between = meanwhile
        self.assertEqual(self.consumed(record(line({"player_id": "p", "score": 1})))[0], [])
        self.assertEqual(self.table.rows[f"{GAME}#p"]["total"], 101)

    def test_a_row_that_is_deleted_meanwhile_does_not_come_back_with_what_was_in_it(self):
        self.consumed(record(line({"player_id": "p", "score": 100})))

        def meanwhile():
            self.table.between = None
            del self.table.rows[f"{GAME}#p"]

        self.table.between = meanwhile
        self.consumed(record(line({"player_id": "p", "score": 1})))
        self.assertEqual(self.table.rows[f"{GAME}#p"]["total"], 1)

    def test_marks_end_with_their_time_and_with_the_room_for_them(self):
        def score(n, arrived):
            return scores.Score(GAME, "p", None, 1, 0.0, arrived, n.to_bytes(8, "big"))

        row, _ = standings.with_scores(None, "p", [score(1, ARRIVED)])
        row, added = standings.with_scores(row, "p", [score(2, ARRIVED + standings.REMEMBER_SECONDS - 1), score(1, ARRIVED)])
        self.assertEqual((added, row["total"], len(row["marks"])), (1, 2, 24))
        row, _ = standings.with_scores(row, "p", [score(3, ARRIVED + standings.REMEMBER_SECONDS)])
        self.assertEqual((row["total"], len(row["marks"])), (3, 24))
        row, added = standings.with_scores(row, "p", [score(n, ARRIVED + standings.REMEMBER_SECONDS) for n in range(10, 9_010)])
        self.assertEqual((added, row["events"], len(row["marks"])), (9_000, 9_003, 12 * standings.MOST_MARKS))

    def test_ranks_sort_by_total_and_then_by_player(self):
        totals = [(0, "a"), (7, "b"), (7, "a"), (10**9, "z"), (standings.MOST_TOTAL + 5, "y")]
        ranked = sorted(totals, key=lambda each: standings.rank(*each))
        self.assertEqual(ranked, sorted(totals, key=lambda each: (-each[0], each[1])))


class Batches(OnATable):
    def test_what_is_not_written_comes_again_from_its_first_record_on(self):
        self.table.refused = {"broken"}
        batch = [record(line({"player_id": player, "score": 1}), f"s{n}") for n, player in enumerate("abc")]
        batch += [record(line({"player_id": "broken", "score": 1}), f"s{n}") for n in (3, 4)] + [record(line({"player_id": "d", "score": 1}), "s5")]
        failures, said = self.consumed(*batch)
        self.assertEqual((failures, said["added"], said["not_written"]), ([{"itemIdentifier": "s3"}], 4, 1))
        self.table.refused = set()
        self.assertEqual(self.consumed(*batch[3:])[0], [])
        self.assertEqual({row["player_id"]: row["total"] for row in self.table.rows.values()}, {"a": 1, "b": 1, "c": 1, "broken": 2, "d": 1})

    def test_records_that_nobody_can_read_hold_up_nothing(self):
        damaged = bytearray(aggregated([line({"player_id": "p", "score": 1})]))
        damaged[-1] ^= 1
        bad = [bytes(damaged), b"no event at all", b'"match_end"', line({"player_id": "p", "score": -1}), b"\xff\x00"]
        failures, said = self.consumed(*(record(each) for each in bad), record(line({"player_id": "p", "score": 3})))
        self.assertEqual((failures, said["added"], said["unreadable"], said["without_score"]), ([], 1, 1, 2))


class Requests(OnATable):
    def test_the_first_of_all_partitions_are_the_first_of_all(self):
        draw = random.Random(7)
        played = [(f"p{n}", draw.randrange(50)) for n in range(400)]
        self.consumed(*(record(line({"player_id": player, "score": score})) for player, score in played))
        self.assertGreater(len({row["board"] for row in self.table.rows.values()}), 1)
        ranked = sorted(played, key=lambda each: (-each[1], each[0]))
        for query, count in (("", 10), ("top=1", 1), ("top=100", 100)):
            status, said = self.asked("", query)
            found = [(row["player_id"], row["total"]) for row in said["players"]]
            self.assertEqual((status, found), (200, ranked[:count]))
            self.assertEqual([row["rank"] for row in said["players"]], list(range(1, count + 1)))

    def test_a_player_is_found_whatever_the_id_is(self):
        for player in ["a,b", "a&id=b", "p/..", "%2F", " ", "漢字😀", "a#b", "'\"<>\\", "\n\x00"]:
            self.consumed(record(line({"player_id": player, "player_name": player, "score": 7})))
            query = "id=" + "".join(f"%{byte:02x}" for byte in player.encode())
            wanted = {"player_id": player, "player_name": player, "total": 7, "best": 7, "events": 1}
            self.assertEqual(self.asked("/player", query), (200, wanted))

    def test_requests_that_can_not_be_answered_say_why(self):
        for path, query, status in [
            ("", "top=0", 400), ("", "top=101", 400), ("", "top=x", 400), ("", "top=", 400), ("", "top=٣", 400),
            ("/player", "", 404), ("/player", "id=", 404), ("/player", "id=nobody", 404), ("/player", "id=" + "x" * 241, 404),
        ]:
            said, body = self.asked(path, query)
            self.assertEqual((said, list(body)), (status, ["message"]), query)
        answer = serve.handler({"routeKey": "GET /leaderboards/{application_id}", "pathParameters": {"application_id": "x"}}, None)
        self.assertEqual(answer["statusCode"], 400)


if __name__ == "__main__":
    unittest.main()
