"""The part of the Glue job that decides what is written anew. What Spark does is not run here."""

import datetime
import importlib.util

from checks.template import FOLDER

NOW = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.timezone.utc)


def problems(_stacks):
    spec = importlib.util.spec_from_file_location("deduplicate", FOLDER / "glue" / "deduplicate.py")
    job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(job)
    old, new = NOW - datetime.timedelta(days=3), NOW - datetime.timedelta(hours=1)
    objects = [
        ("raw_events/year=2026/month=11/day=28/a.parquet", new),
        ("raw_events/year=2026/month=11/day=28/b.parquet", new),
        ("raw_events/year=2025/month=12/day=01/late.parquet", new),
        ("raw_events/year=2026/month=11/day=25/done.parquet", old),
        ("raw_events/year=2026/month=11/day=28/_temporary/0.parquet", new),
        ("processed_events/year=2026/month=11/day=20/a.parquet", new),
    ]
    found = []
    days = job.touched_days(objects, NOW)
    if days != [("2025", "12", "01"), ("2026", "11", "28")]:
        found.append(f"days that got files: {days}")
    path = job.path_of("lake", job.PROCESSED, ("2025", "12", "01"))
    if path != "s3://lake/processed_events/year=2025/month=12/day=01/":
        found.append(f"a day's folder: {path}")
    return found, ""
