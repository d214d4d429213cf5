"""Lambda's way in from the stream: adds a batch's scores to the table.

A record that can't be read, or an event without a score, is counted, named in the log and passed over: coming again would
not mend it, and nothing behind it waits. Where the table does not take a write, the batch is answered as failed from the
first record with that player's scores on; Lambda hands over again what lies behind it, and what was added already is not
added again.
"""

import collections
import concurrent.futures
import json

import records
import scores
import standings

# Rows written at a time. Each takes a read and a write, some 10 ms together.
WRITERS = 16
# Lines of the log for a batch at most: a broken client would fill it.
LOGGED = 10


def handler(event, _context):
    """Answers which record the batch is to be handed over again from, if any."""
    batch = event["Records"]
    by_player, counts, problems = read(batch)
    failed = add(by_player, counts, problems)
    for problem in problems[:LOGGED]:
        print(json.dumps(problem))
    print(json.dumps({"message": "counted", "records": len(batch), **counts}))
    if not failed:
        return {"batchItemFailures": []}
    return {"batchItemFailures": [{"itemIdentifier": batch[min(failed)]["kinesis"]["sequenceNumber"]}]}


def read(batch):
    """The scores of each player with the places of their records in the batch, what was counted, and what was wrong."""
    by_player, problems = collections.defaultdict(list), []
    counts = {"scores": 0, "added": 0, "unreadable": 0, "without_score": 0, "not_written": 0}
    for place, record in enumerate(batch):
        sequence = record["kinesis"]["sequenceNumber"]
        arrived = int(record["kinesis"]["approximateArrivalTimestamp"])
        try:
            lines = list(records.lines(record))
        except records.Unreadable as problem:
            counts["unreadable"] += 1
            problems.append({"message": "unreadable", "sequence": sequence, "why": f"the record {problem}"})
            continue
        for line in lines:
            try:
                score = scores.read(line, arrived)
            except scores.NoScore as problem:
                counts["without_score"] += 1
                problems.append({"message": "without score", "sequence": sequence, "why": f"an event {problem}"})
                continue
            if score:
                counts["scores"] += 1
                by_player[score.application_id, score.player_id].append((place, score))
    return by_player, counts, problems


def add(by_player, counts, problems):
    """Adds the scores, many players at a time, and gives the places of records whose scores could not all be added."""
    failed = set()
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        writes = {
            pool.submit(standings.add, *player, [score for _, score in found]): found for player, found in by_player.items()
        }
        for write in concurrent.futures.as_completed(writes):
            try:
                counts["added"] += write.result()
            # Whatever it is, these records come again and no others are lost with them.
            except Exception as error:
                counts["not_written"] += 1
                failed.add(min(place for place, _ in writes[write]))
                problems.append({"message": "not written", "why": f"{type(error).__name__}: {error}"})
    return failed
