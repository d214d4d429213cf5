"""Glue job: brings raw_events into processed_events with each event once.

raw_events holds every event at least once, and partitions by event time: a file that comes today may belong to a day of
last month. So each run looks for days that got files since `lookback` hours ago and writes those days of processed_events
anew, whole, from raw_events. Running it twice, or again after a failure, gives the same rows. While a day is written anew
(seconds to minutes) queries may see it in part.
"""

import datetime
import re
import sys

RAW = "raw_events/"
PROCESSED = "processed_events/"
PARTITION = re.compile(r"^raw_events/year=(\d{4})/month=(\d{2})/day=(\d{2})/[^/]+\.parquet$")
# Hourly runs; a run that fails is made good by later ones within two days.
LOOKBACK = datetime.timedelta(hours=49)


def touched_days(objects, now, lookback=LOOKBACK):
    """The days, as (year, month, day), that have a file newer than `lookback`; `objects` are (key, modified) pairs."""
    days = set()
    for key, modified in objects:
        found = PARTITION.match(key)
        if found and now - modified <= lookback:
            days.add(found.groups())
    return sorted(days)


def raw_objects(s3, bucket):
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RAW):
        for entry in page.get("Contents", []):
            yield entry["Key"], entry["LastModified"]


def path_of(bucket, table, day):
    return "s3://{}/{}year={}/month={}/day={}/".format(bucket, table, *day)


def once(rows):
    """Each event once, the copy that the gateway took first."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    taken = F.get_json_object("metadata", "$.processing_timestamp")
    same = Window.partitionBy("application_id", "event_id").orderBy(taken.asc_nulls_last(), "event_time_ms")
    return rows.withColumn("copy", F.row_number().over(same)).where("copy = 1").drop("copy")


def main():
    import boto3
    from awsglue.utils import getResolvedOptions
    from pyspark.sql import SparkSession

    bucket = getResolvedOptions(sys.argv, ["bucket"])["bucket"]
    spark = SparkSession.builder.getOrCreate()
    now = datetime.datetime.now(datetime.timezone.utc)
    for day in touched_days(raw_objects(boto3.client("s3"), bucket), now):
        # By path and not by table: the partition's columns are in the path, and stay out of the files.
        rows = once(spark.read.parquet(path_of(bucket, RAW, day)))
        rows.write.mode("overwrite").option("compression", "snappy").parquet(path_of(bucket, PROCESSED, day))
        print("wrote", "-".join(day))


if __name__ == "__main__":
    main()
