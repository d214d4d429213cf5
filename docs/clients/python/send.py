"""Sends events to a gateway and says what became of them.

  send.py --address HOST:PORT --key-file FILE [--ca FILE | --tls] [--events N] [--every MS]
"""

import argparse
import json
import logging
import pathlib
import sys
import time

from headgate.v1 import ingest_pb2 as pb
from sender import Sender


def event(number):
    data = {"player_id": f"p-{number % 1000}", "number": number}
    event = pb.Event(event_type="login", event_name="player_login", event_data=json.dumps(data).encode())
    event.event_timestamp.GetCurrentTime()
    return event


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--key-file", type=pathlib.Path, default="headgate-data/demo-api-key")
    parser.add_argument("--ca", type=pathlib.Path, help="PEM of the authority to trust; TLS")
    parser.add_argument("--tls", action="store_true", help="TLS, with the authorities that gRPC brings")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=0, help="milliseconds between two events")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s")

    sender = Sender(args.address, args.key_file.read_text().strip(), args.ca and args.ca.read_bytes(), args.tls)
    try:
        for number in range(args.events):
            sender.put(event(number))
            time.sleep(args.every / 1000)
        sender.close()
    except (RuntimeError, TimeoutError) as error:
        sys.exit(str(error))
    finally:
        print(f"acknowledged={sender.acknowledged} refused={sender.refused} resent={sender.resent} "
              f"put_off={sender.put_off} streams={sender.streams}")


if __name__ == "__main__":
    main()
