"""Reads back what came out behind the gateway on an emulator of AWS, with AWS_ENDPOINT_URL set:

  read_back.py objects --bucket NAME [--into FOLDER]      keys of a bucket; with a folder, the objects by their keys, too
  read_back.py metrics --log-group NAME                   what a function's embedded metrics add up to, by their dimensions
  read_back.py athena --workgroup NAME --database NAME FILE...   answers of queries, by their files' names

Prints JSON.
"""

import argparse
import collections
import json
import pathlib
import sys
import time

import boto3

QUERY_SECONDS = 60


def objects(args):
    s3, keys = boto3.client("s3"), []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=args.bucket):
        keys += [entry["Key"] for entry in page.get("Contents", [])]
    for key in keys if args.into else []:
        path = args.into / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket=args.bucket, Key=key)["Body"].read())
    return keys


def metrics(args):
    logs, sums = boto3.client("logs"), collections.Counter()
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=args.log_group):
        for event in page["events"]:
            # An invocation's lines may come as one event.
            for line in event["message"].splitlines():
                if '"_aws"' not in line:
                    continue
                document = json.loads(line)
                for directive in document["_aws"]["CloudWatchMetrics"]:
                    for metric in directive["Metrics"]:
                        values = document[metric["Name"]]
                        dimensions = [document[name] for name in directive["Dimensions"][0]]
                        sums["/".join([metric["Name"], *dimensions])] += sum(values) if isinstance(values, list) else values
    return sums


def athena(args):
    client, answers = boto3.client("athena"), {}
    for path in args.files:
        started = client.start_query_execution(
            QueryString=path.read_text(), WorkGroup=args.workgroup, QueryExecutionContext={"Database": args.database})
        execution = {"QueryExecutionId": started["QueryExecutionId"]}
        until = time.monotonic() + QUERY_SECONDS
        while (status := client.get_query_execution(**execution)["QueryExecution"]["Status"])["State"] in ("QUEUED", "RUNNING"):
            if time.monotonic() > until:
                sys.exit(f"{path.name} does not end")
            time.sleep(0.05)
        if status["State"] != "SUCCEEDED":
            sys.exit(f"{path.name}: {status}")
        rows = []
        for page in client.get_paginator("get_query_results").paginate(**execution):
            rows += [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]]
        # The first row names the columns.
        answers[path.stem] = rows[1:]
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(required=True)
    way = ways.add_parser("objects")
    way.add_argument("--bucket", required=True)
    way.add_argument("--into", type=pathlib.Path)
    way.set_defaults(read=objects)
    way = ways.add_parser("metrics")
    way.add_argument("--log-group", required=True)
    way.set_defaults(read=metrics)
    way = ways.add_parser("athena")
    way.add_argument("--workgroup", required=True)
    way.add_argument("--database", required=True)
    way.add_argument("files", type=pathlib.Path, nargs="+")
    way.set_defaults(read=athena)
    args = parser.parse_args()
    print(json.dumps(args.read(args)))


if __name__ == "__main__":
    main()
