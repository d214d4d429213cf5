// node.mjs BASE_URL KEY BATCHES SIZE: publishes from Node, with Connect's client in binary and with Google's in text, and
// prints what came of it as JSON.
import grpcWeb from "grpc-web";
import xhr2 from "xhr2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { PublishEventsRequestSchema, PublishEventsResponseSchema } from "./gen/headgate/v1/ingest_pb.js";
import { events, publish } from "./client.mjs";

const [baseUrl, key, batches, size] = [process.argv[2], process.argv[3], Number(process.argv[4]), Number(process.argv[5])];

// Google's client asks for the browser's way of making requests.
globalThis.XMLHttpRequest = xhr2;
const method = new grpcWeb.MethodDescriptor(
  "/headgate.v1.IngestService/PublishEvents", grpcWeb.MethodType.UNARY, Object, Object,
  (request) => toBinary(PublishEventsRequestSchema, request), (bytes) => fromBinary(PublishEventsResponseSchema, bytes));
const client = new grpcWeb.GrpcWebClientBase({ format: "text" });

function publishText(key, events) {
  const request = create(PublishEventsRequestSchema, { events });
  return new Promise((resolve, reject) => client.rpcCall(
    baseUrl + method.getName(), request, { "x-api-key": key }, method,
    (error, response) => error ? reject(error) : resolve(response)));
}

const binary = await publish(baseUrl, key, 0, batches, size);
const text = { accepted: 0 };
for (let batch = 0; batch < batches; batch++) {
  const { verdict } = await publishText(key, events((batches + batch) * size, size));
  text.accepted += verdict.accepted;
}
text.refused = await publishText("wrong", events(0, 1)).then(() => "taken", (error) => error.code);
console.log(JSON.stringify({ binary, text }));
