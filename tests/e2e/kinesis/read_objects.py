"""Reads what a delivery stream has written: every object of an S3 bucket, one after the other, into one file.

  read_objects.py --bucket NAME --out FILE

Prints one JSON object of counts.
"""

import argparse
import json

import boto3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()

    s3 = boto3.client("s3")
    objects = 0
    with open(args.out, "wb") as out:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=args.bucket):
            for entry in page.get("Contents", []):
                objects += 1
                out.write(s3.get_object(Bucket=args.bucket, Key=entry["Key"])["Body"].read())
    print(json.dumps({"objects": objects}))


if __name__ == "__main__":
    main()
