"""A server instrumented with OpenTelemetry's own SDK, which has nothing of Headgate's.

  otlp_client.py --protocol grpc|http --endpoint URL --key-file FILE --base N --events N --batch N

Emits events through the SDK's logger, batch processor and stock exporter. Each event is a function of its number and of a
base (nanoseconds since 1970), so that whoever reads the lake knows it. Prints one JSON object: records exported, records
whose export failed, and exports that were not told to be whole.
"""

import argparse
import json
import pathlib
import sys

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

# Longer than a gateway is away: six tries with exponential backoff.
PATIENCE_SECONDS = 60
NAMES = ("login", "match.started", "match.round.won", "shop.bought")


class Counting(LogRecordExporter):
    """The stock exporter, and what became of what it was given."""

    def __init__(self, inner):
        self.inner, self.exported, self.failed = inner, 0, 0

    def export(self, batch):
        result = self.inner.export(batch)
        if result is LogRecordExportResult.SUCCESS:
            self.exported += len(batch)
        else:
            self.failed += len(batch)
        return result

    def force_flush(self, timeout_millis=10_000):
        return self.inner.force_flush(timeout_millis)

    def shutdown(self):
        self.inner.shutdown()


def exporter(args):
    key = pathlib.Path(args.key_file).read_text(encoding="ascii").strip()
    headers = {"x-api-key": key}
    if args.protocol == "grpc":
        return GrpcExporter(endpoint=args.endpoint, insecure=True, headers=headers, timeout=PATIENCE_SECONDS)
    return HttpExporter(
        endpoint=f"{args.endpoint}/v1/logs", headers=headers, timeout=PATIENCE_SECONDS, compression=Compression.Gzip)


def attributes(number):
    given = {"n": number, "player_id": f"p{number % 97}", "text": 'über "漢字"\n', "ratio": number / 8, "won": number % 2 == 0,
             "tags": ["a", "b"]}
    if number % 3 == 0:
        given["headgate.event_type"] = "iap_transaction"
    return given


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=("grpc", "http"), required=True)
    for name, kind in (("endpoint", str), ("key-file", str), ("base", int), ("events", int), ("batch", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    args = parser.parse_args()

    counting = Counting(exporter(args))
    provider = LoggerProvider(resource=Resource.create({"service.name": "match-server", "service.version": "3.1.4"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(
        counting, schedule_delay_millis=100, max_export_batch_size=args.batch, max_queue_size=args.events))
    logger = provider.get_logger("game")
    for number in range(args.events):
        logger.emit(
            timestamp=args.base + number * 1_000_003,
            event_name=NAMES[number % len(NAMES)],
            body=f"event {number}" if number % 5 else None,
            attributes=attributes(number),
        )
    provider.force_flush(timeout_millis=10 * PATIENCE_SECONDS * 1_000)
    provider.shutdown()
    print(json.dumps({"exported": counting.exported, "failed": counting.failed}))
    sys.exit(0 if counting.failed == 0 else 1)


if __name__ == "__main__":
    main()
