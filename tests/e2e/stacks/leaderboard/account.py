"""What the test of the leaderboard does in an account, with AWS_ENDPOINT_URL set:

  account.py again --stream NAME                           puts a third of the stream's records once more, and some rubbish
  account.py seen --stream NAME --log-group NAME           records in the stream, and what the consumer's log adds up to
  account.py deliver --stream NAME --function NAME --into FOLDER   hands the stream to the transform function, as Firehose does
  account.py ask --url URL PATH...                         what the HTTP API answers to signed requests

Prints JSON. `deliver` is here because the emulator's own Firehose takes no aggregated record apart and some milliseconds a
row, while PutRecords waits. It writes what the function answers, a file for each day, as partitions of raw_events.
"""

import argparse
import base64
import collections
import http.client
import json
import pathlib
import sys
import urllib.parse

import boto3
from aws_kinesis_agg.deaggregator import iter_deaggregate_records
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

EVERY = 3
# Of PutRecords.
CALL_RECORDS, CALL_BYTES = 500, 4 << 20
# What Firehose hands over at a time (BufferSizeInMBs in streaming.yaml).
BUFFER_BYTES = 1 << 20
MAGIC = b"\xf3\x89\x9a\xc2"


def stored(stream):
    kinesis = boto3.client("kinesis")
    for page in kinesis.get_paginator("list_shards").paginate(StreamName=stream):
        for shard in page["Shards"]:
            start = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
            iterator = start["ShardIterator"]
            while iterator:
                page = kinesis.get_records(ShardIterator=iterator)
                yield from page["Records"]
                if not page["Records"] and page["MillisBehindLatest"] == 0:
                    break
                iterator = page.get("NextShardIterator")


def again(args):
    records = [record["Data"] for record in stored(args.stream)]
    aggregates = [data for data in records if data.startswith(MAGIC)]
    twice = records[::EVERY]
    damaged = aggregates[0][:-1] + bytes([aggregates[0][-1] ^ 1])
    rubbish = [damaged, b"no event at all", b'{"event":{"event_type":"match_end"}}\n', b'{"match_end"']
    kinesis = boto3.client("kinesis")
    entries = [{"Data": data, "PartitionKey": str(number)} for number, data in enumerate(twice + rubbish)]
    while entries:
        call, size = [], 0
        while entries and len(call) < CALL_RECORDS and size + len(entries[-1]["Data"]) < CALL_BYTES:
            size += len(entries[-1]["Data"])
            call.append(entries.pop())
        if kinesis.put_records(StreamName=args.stream, Records=call)["FailedRecordCount"]:
            sys.exit("the stream took not all of it")
    return {"aggregates": len(aggregates), "twice": len(twice), "rubbish": len(rubbish)}


def seen(args):
    sums = collections.Counter({"stored": sum(1 for _ in stored(args.stream))})
    logs = boto3.client("logs")
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=args.log_group):
        for event in page["events"]:
            # An invocation's lines may come as one event.
            for line in event["message"].splitlines():
                if line.startswith('{"message": "counted"'):
                    sums.update({name: count for name, count in json.loads(line).items() if name != "message"})
    return sums


def deliver(args):
    function = boto3.client("lambda")
    counts = collections.Counter()
    waiting, size = [], 0

    def hand_over():
        records = [{"recordId": str(number), "data": data} for number, data in enumerate(waiting)]
        event = {"invocationId": "1", "deliveryStreamArn": "arn", "region": "eu-west-1", "records": records}
        answer = function.invoke(FunctionName=args.function, Payload=json.dumps(event))
        said = json.load(answer["Payload"])
        if "FunctionError" in answer or [each["recordId"] for each in said["records"]] != [each["recordId"] for each in records]:
            sys.exit(f"the transform function: {said}")
        for each in said["records"]:
            counts[each["result"]] += 1
            if each["result"] == "Ok":
                keys = each["metadata"]["partitionKeys"]
                folder = args.into / "/".join(f"{name}={keys[name]}" for name in ("year", "month", "day"))
                folder.mkdir(parents=True, exist_ok=True)
                with open(folder / "rows.json", "ab") as file:
                    file.write(base64.b64decode(each["data"]))

    for record in stored(args.stream):
        kinesis = {"kinesisSchemaVersion": "1.0", "partitionKey": record["PartitionKey"], "sequenceNumber": record["SequenceNumber"],
                   "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
                   "data": base64.b64encode(record["Data"]).decode()}
        for user_record in iter_deaggregate_records([{"kinesis": kinesis}]):
            data = user_record["kinesis"]["data"]
            data = data if isinstance(data, str) else data.decode()
            if waiting and size + len(data) > BUFFER_BYTES:
                hand_over()
                waiting, size = [], 0
            waiting.append(data)
            size += len(data)
    hand_over()
    return counts


def ask(args):
    # The API's own name is not one that every machine resolves; the emulator goes by the host that is asked for.
    host, emulator = urllib.parse.urlsplit(args.url).netloc, urllib.parse.urlsplit(boto3.client("s3").meta.endpoint_url).netloc
    session = boto3.Session()
    connection = http.client.HTTPConnection(emulator)
    answers = []
    for path in args.paths:
        request = AWSRequest("GET", f"http://{host}{path}")
        SigV4Auth(session.get_credentials(), "execute-api", session.region_name).add_auth(request)
        connection.request("GET", path, headers=dict(request.headers) | {"Host": host})
        response = connection.getresponse()
        answers.append({"status": response.status, "body": json.loads(response.read())})
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(required=True)
    for function, names in ((again, ["stream"]), (seen, ["stream", "log-group"]), (deliver, ["stream", "function", "into"]), (ask, ["url"])):
        way = ways.add_parser(function.__name__)
        for name in names:
            way.add_argument(f"--{name}", required=True, type=pathlib.Path if name == "into" else str)
        if function is ask:
            way.add_argument("paths", nargs="+")
        way.set_defaults(run=function)
    args = parser.parse_args()
    print(json.dumps(args.run(args)))


if __name__ == "__main__":
    main()
