"""IngestService on grpcio. Decodes each batch, answers that all of it is accepted, keeps nothing.

With threads: calls cost less than on grpcio's asyncio server, and streams the same.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from headgate.v1 import ingest_pb2, ingest_pb2_grpc

# The gateway's own limit of a message.
MAX_MESSAGE_BYTES = 16 << 20
# Each stream takes one as long as it lasts. They are started when they are needed.
THREADS = 1_000


def verdict(events) -> ingest_pb2.BatchVerdict:
    return ingest_pb2.BatchVerdict(accepted=len(events))


class Ingest(ingest_pb2_grpc.IngestServiceServicer):
    def PublishEvents(self, request, context):
        return ingest_pb2.PublishEventsResponse(verdict=verdict(request.events))

    def StreamEvents(self, request_iterator, context):
        for request in request_iterator:
            yield ingest_pb2.StreamEventsResponse(sequence=request.sequence, verdict=verdict(request.events))


def main(address: str) -> None:
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=THREADS), options=options)
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(Ingest(), server)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


main(sys.argv[1])
