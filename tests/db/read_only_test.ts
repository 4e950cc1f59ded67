/** The messages of a PostgreSQL server that show that it has become read-only. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ServerMessages } from "../../db/pg/read_only.ts";

/** Returns a message of the server as bytes. */
function message(type: string, content: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(4 + content.length);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(content, "latin1")]);
}

const ready = message("Z", "I");
const inTransaction = message("Z", "T");
const started = [message("R", "\0\0\0\0"), message("S", "in_hot_standby\0off\0"), ready];
const refused = message("E", "SERROR\0VERROR\0C25006\0Mcannot execute INSERT in a read-only transaction\0\0");

/** What the messages of a connection show after its last chunk: whether the server is read-only, and idle. */
const connections: [string, Buffer[], { isReadOnly: boolean; isIdle: boolean }][] = [
  ["the start of a connection", started, { isReadOnly: false, isIdle: true }],
  ["a refused write", [...started, refused, ready], { isReadOnly: true, isIdle: true }],
  ["a refused write within a transaction", [...started, refused, message("Z", "E")], {
    isReadOnly: true,
    isIdle: false,
  }],
  ["another error", [...started, message("E", "SERROR\0C25P02\0Mfailed\0\0"), ready], {
    isReadOnly: false,
    isIdle: true,
  }],
  ["a server that becomes a standby", [...started, message("S", "in_hot_standby\0on\0")], {
    isReadOnly: true,
    isIdle: false,
  }],
  ["a setting that changes", [...started, message("S", "default_transaction_read_only\0on\0"), ready], {
    isReadOnly: true,
    isIdle: true,
  }],
  ["a setting that changes back", [...started, message("S", "default_transaction_read_only\0off\0"), ready], {
    isReadOnly: false,
    isIdle: true,
  }],
  ["a server that was a standby from the start", [message("S", "in_hot_standby\0on\0"), ready], {
    isReadOnly: false,
    isIdle: true,
  }],
  ["rows that hold such messages", [
    ...started,
    message("D", `${refused}${refused}`),
    message("C", "SELECT 1\0"),
    ready,
  ], {
    isReadOnly: false,
    isIdle: true,
  }],
  ["an open transaction", [...started, message("C", "BEGIN\0"), inTransaction], {
    isReadOnly: false,
    isIdle: false,
  }],
  ["a notification after an answer", [...started, message("A", "\0\0\0\0cells\0\0")], {
    isReadOnly: false,
    isIdle: false,
  }],
];

for (const [what, parts, expected] of connections) {
  Deno.test(`the messages of a server show ${what}, wherever they are split`, () => {
    const bytes = Buffer.concat(parts);
    for (let size = 1; size <= bytes.length; size++) {
      const messages = new ServerMessages();
      let isReadOnly = false;
      for (let at = 0; at < bytes.length; at += size) {
        if (messages.showsReadOnly(bytes.subarray(at, at + size))) isReadOnly = true;
      }
      assert.deepEqual(
        { isReadOnly, isIdle: messages.isIdle },
        expected,
        `chunks of ${size}`,
      );
    }
  });
}

Deno.test("a message shows a read-only server once: later chunks say nothing about other connections", () => {
  const messages = new ServerMessages();
  assert.equal(messages.showsReadOnly(Buffer.concat([...started, refused, inTransaction])), true);
  assert.equal(messages.showsReadOnly(ready), false);
});
