// IngestService on @grpc/grpc-js. Decodes each batch, answers that all of it is accepted, keeps nothing.
'use strict';

const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

// The gateway's own limit of a message.
const MAX_MESSAGE_BYTES = 16 << 20;

const [protos, address] = process.argv.slice(2);
const { IngestService } = grpc.loadPackageDefinition(
  // A sequence as a number: cheaper than the library's own class for 64 bits, and exact up to 2^53.
  protoLoader.loadSync('headgate/v1/ingest.proto', { includeDirs: [protos], longs: Number, arrays: true })
).headgate.v1;

const verdict = (events) => ({ accepted: events.length });

const server = new grpc.Server({ 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES });
server.addService(IngestService.service, {
  PublishEvents(call, callback) {
    callback(null, { verdict: verdict(call.request.events) });
  },
  StreamEvents(call) {
    call.on('data', ({ sequence, events }) => call.write({ sequence, verdict: verdict(events) }));
    call.on('end', () => call.end());
    // The client went away; there is nobody to answer.
    call.on('error', () => {});
  },
});
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
});
