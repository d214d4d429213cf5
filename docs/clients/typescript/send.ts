// Sends events to a gateway and says what became of them.
//
//   node build/send.js --address HOST:PORT --key-file FILE [--ca FILE | --tls] [--events N] [--every MS] [--protos DIR]

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { setTimeout } from "node:timers/promises";
import { type Event, Sender } from "./sender";

function event(number: number): Event {
  const ms = Date.now();
  return {
    eventType: "login",
    eventName: "player_login",
    eventTimestamp: { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 },
    eventData: Buffer.from(JSON.stringify({ player_id: `p-${number % 1_000}`, number })),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      address: { type: "string", default: "127.0.0.1:50051" },
      "key-file": { type: "string", default: "headgate-data/demo-api-key" },
      ca: { type: "string" },
      tls: { type: "boolean" },
      events: { type: "string", default: "10000" },
      every: { type: "string", default: "0" },
      protos: { type: "string", default: "proto/proto" },
    },
  });
  const sender = new Sender({
    address: values.address!,
    key: readFileSync(values["key-file"]!, "utf8").trim(),
    protos: values.protos!,
    ca: values.ca === undefined ? undefined : readFileSync(values.ca),
    tls: values.tls,
  });
  const every = Number(values.every);
  try {
    for (let number = 0; number < Number(values.events); number++) {
      await sender.put(event(number));
      if (every > 0) await setTimeout(every);
    }
    await sender.close();
  } finally {
    console.log(`acknowledged=${sender.acknowledged} refused=${sender.refused} resent=${sender.resent} ` +
      `put_off=${sender.putOff} streams=${sender.streams}`);
  }
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
