// A stock client of gRPC-Web, for Node and for pages: code that protoc-gen-es makes of the proto file, and Connect's transport.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { EventSchema, IngestService } from "./gen/headgate/v1/ingest_pb.js";

/** The events with numbers from `first` on. */
export function events(first, count) {
  return Array.from({ length: count }, (_, at) => create(EventSchema, {
    eventId: `00000000-0000-4000-8000-${(first + at).toString(16).padStart(12, "0")}`,
    eventType: "login",
    eventName: "web.login",
    eventTimestamp: timestampFromMs(Date.now()),
    eventData: new TextEncoder().encode(JSON.stringify({ n: first + at, text: "über 漢字" })),
  }));
}

/** Publishes batches, and says how many events were accepted, and what a call with a wrong key comes to. */
export async function publish(baseUrl, key, first, batches, size) {
  const client = createClient(IngestService, createGrpcWebTransport({ baseUrl }));
  let accepted = 0;
  for (let batch = 0; batch < batches; batch++) {
    const request = { events: events(first + batch * size, size) };
    const { verdict } = await client.publishEvents(request, { headers: { "x-api-key": key } });
    accepted += verdict.accepted;
  }
  const refused = await client.publishEvents({ events: events(0, 1) }, { headers: { "x-api-key": "wrong" } })
    .then(() => "taken", (error) => error instanceof ConnectError ? Code[error.code] : `${error}`);
  return { accepted, refused };
}
