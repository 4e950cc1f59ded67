/** Inserts BSON into a mongod without a driver, which would decode and encode it. */
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { writeCanonical } from "../../../migrate/data/documents/ejson_write.ts";
import { BsonDocument, Double } from "../../../migrate/data/documents/tree.ts";

const partBytes = 12 * 1024 * 1024;
const opMsg = 2013;

async function readFull(connection: Deno.TcpConn, bytes: Uint8Array): Promise<Uint8Array> {
  for (let filled = 0; filled < bytes.length;) {
    const read = await connection.read(bytes.subarray(filled));
    if (read === null) throw new Error("the server closed the connection");
    filled += read;
  }
  return bytes;
}

const join = (parts: Uint8Array[]): Uint8Array<ArrayBuffer> => {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

const int = (value: number) => new Uint8Array(new Int32Array([value]).buffer);

/** Sends a command with documents, and checks the response. */
async function send(connection: Deno.TcpConn, command: BsonDocument, documents: Uint8Array[]): Promise<void> {
  const name = new TextEncoder().encode("documents\0");
  const list = join([name, ...documents]);
  const section = documents.length === 0 ? [] : [new Uint8Array([1]), int(4 + list.length), list];
  const body = join([int(0), new Uint8Array([0]), writeBson(command), ...section]);
  const message = join([int(16 + body.length), int(1), int(0), int(opMsg), body]);
  for (let sent = 0; sent < message.length;) sent += await connection.write(message.subarray(sent));
  const head = await readFull(connection, new Uint8Array(4));
  const response = await readFull(
    connection,
    new Uint8Array(new DataView(head.buffer).getInt32(0, true) - 4),
  );
  const document = readBson(response.subarray(12 + 4 + 1));
  const ok = document.get("ok");
  if (!(ok instanceof Double && ok.value === 1) || document.get("writeErrors") !== undefined) {
    throw new Error(`the server rejected the command: ${writeCanonical(document)}`);
  }
}

/** Inserts BSON documents. Creates an empty collection if there are none. */
export async function insertRaw(
  url: string,
  { database, collection, documents }: { database: string; collection: string; documents: Uint8Array[] },
): Promise<void> {
  const { hostname, port } = new URL(url.replace("mongodb:", "http:"));
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const command = (verb: string) => new BsonDocument([verb, "$db"], [collection, database]);
  if (documents.length === 0) return await send(connection, command("create"), []);
  for (let from = 0; from < documents.length;) {
    let to = from;
    let bytes = 0;
    while (to < documents.length && (to === from || bytes + documents[to]!.length < partBytes)) {
      bytes += documents[to++]!.length;
    }
    await send(connection, command("insert"), documents.slice(from, to));
    from = to;
  }
}
