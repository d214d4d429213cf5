"""Brings what a gateway keeps in its own lake to where a stage's lake and metrics are, as Firehose and the metrics function of
the stage would, on an emulator of AWS:

  carry.py ENVIRONMENT LAKE METRICS

LAKE is the gateway's folder, METRICS the URL of its `/metrics`; AWS_ENDPOINT_URL is set. Until it is ended it puts each new
file of Parquet into the bucket of the environment in the account for development, and what the gateway has counted of each
application's minutes into CloudWatch.
"""

import argparse
import collections
import os
import pathlib
import re
import time
import urllib.request

from pipeline import DEV, session

SERIES = re.compile(r'^headgate_window_(events|logins)_total\{(.*?)\} (\S+)$', re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')
METRICS = {"events": "TotalEvents", "logins": "TotalLogins"}


def carry_files(s3, bucket, lake, carried):
    for path in sorted(lake.glob("raw_events/**/*.parquet")):
        key = path.relative_to(lake).as_posix()
        if key not in carried and not path.name.startswith("."):
            s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
            carried.add(key)


def carry_counts(cloudwatch, namespace, url, carried):
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    counted = collections.Counter()
    for kind, labels, value in SERIES.findall(text):
        told = dict(LABEL.findall(labels))
        counted[kind, told["application"], told["app_version"]] += int(float(value))
    for (kind, application, version), count in (counted - carried).items():
        # As the function has them.
        dimensions = [{"Name": "APPLICATION_ID", "Value": application}, {"Name": "APP_VERSION", "Value": version}]
        datum = {"MetricName": METRICS[kind], "Dimensions": dimensions, "Value": count, "Unit": "Count"}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])
    carried.update(counted - carried)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment")
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("metrics")
    asked = parser.parse_args()
    of, test = session(DEV).client, os.getppid()
    bucket = of("ssm").get_parameter(Name=f"/headgate/{asked.environment}/data/lake-bucket")["Parameter"]["Value"]
    s3, cloudwatch = of("s3"), of("cloudwatch")
    files, counts = set(), collections.Counter()
    # Nor does it outlive the test that started it.
    while os.getppid() == test:
        carry_files(s3, bucket, asked.lake, files)
        carry_counts(cloudwatch, f"headgate-{asked.environment}/AWSGameAnalytics", asked.metrics, counts)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
