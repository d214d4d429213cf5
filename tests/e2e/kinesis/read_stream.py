"""A consumer that has nothing of Headgate's: boto3, and AWS's own aws-kinesis-agg to take aggregated records apart.

  read_stream.py --stream NAME --out FILE [--as-stored]

Reads every shard from its beginning to its present end, the way a Lambda function is given records. Each user record is
written to the file behind its length (4 bytes, big-endian); with `--as-stored` each Kinesis record as it is. Prints one
JSON object of counts. A consumer built on KCL drops a whole aggregate if one user record in it does not hash into the
shard it came from; these are counted as `outside`.
"""

import argparse
import base64
import hashlib
import json
import struct

import boto3
from aws_kinesis_agg.deaggregator import iter_deaggregate_records


def stored_records(kinesis, stream, shard):
    start = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    iterator = start["ShardIterator"]
    while iterator:
        page = kinesis.get_records(ShardIterator=iterator)
        yield from page["Records"]
        if not page["Records"] and page["MillisBehindLatest"] == 0:
            return
        iterator = page.get("NextShardIterator")


def lambda_event(record):
    return {"kinesis": {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": record["PartitionKey"],
        "sequenceNumber": record["SequenceNumber"],
        "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        "data": base64.b64encode(record["Data"]).decode(),
    }}


def is_outside(user_record, hash_keys):
    explicit = user_record.get("explicitHashKey")
    key = int(explicit) if explicit else int(hashlib.md5(user_record["partitionKey"].encode()).hexdigest(), 16)
    return not int(hash_keys["StartingHashKey"]) <= key <= int(hash_keys["EndingHashKey"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--as-stored", action="store_true")
    args = parser.parse_args()

    kinesis = boto3.client("kinesis")
    counts = {"shards": {}, "stored_bytes": 0, "aggregates": 0, "user_records": 0, "outside": 0}
    with open(args.out, "wb") as out:

        def write(data):
            counts["user_records"] += 1
            out.write(struct.pack(">I", len(data)) + data)

        for page in kinesis.get_paginator("list_shards").paginate(StreamName=args.stream):
            for shard in page["Shards"]:
                counts["shards"][shard["ShardId"]] = 0
                for record in stored_records(kinesis, args.stream, shard["ShardId"]):
                    counts["shards"][shard["ShardId"]] += 1
                    counts["stored_bytes"] += len(record["Data"]) + len(record["PartitionKey"])
                    if args.as_stored:
                        write(record["Data"])
                        continue
                    for user_record in iter_deaggregate_records([lambda_event(record)]):
                        user_record = user_record["kinesis"]
                        counts["aggregates"] += user_record.get("subSequenceNumber") == 0
                        aggregated = user_record.get("aggregated", False)
                        counts["outside"] += aggregated and is_outside(user_record, shard["HashKeyRange"])
                        write(base64.b64decode(user_record["data"]))
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
