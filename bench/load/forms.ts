/** The generated dump in other forms: canonical lines, BSON, a mongod, and with documents that the lens rejects. */
import { startMongo } from "../../dev/servers/mongo.ts";
import { writeBson } from "../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../migrate/data/documents/ejson_read.ts";
import { writeCanonical } from "../../migrate/data/documents/ejson_write.ts";
import { collections } from "../../migrate/data/documents/source.ts";
import { insertRaw } from "../../tests/migrate/support/mongo_raw.ts";

const encoder = new TextEncoder();

async function* readLines(path: string): AsyncGenerator<string[]> {
  using file = await Deno.open(path);
  let rest = "";
  for await (const text of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    if (lines.length > 0) yield lines;
  }
}

async function rewrite(
  from: string,
  to: string,
  extension: string,
  change: (lines: string[], collection: string) => Uint8Array[],
): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for (const collection of collections) {
    using out = await Deno.open(`${to}/${collection}.${extension}`, {
      create: true,
      write: true,
      truncate: true,
    });
    for await (const lines of readLines(`${from}/${collection}.json`)) {
      const bytes = new Uint8Array(await new Blob(change(lines, collection) as BlobPart[]).arrayBuffer());
      for (let at = 0; at < bytes.length;) at += await out.write(bytes.subarray(at));
    }
  }
}

/** Writes every document as canonical Extended JSON. */
export const writeCanonicalDump = (from: string, to: string) =>
  rewrite(
    from,
    to,
    "json",
    (lines) => lines.map((line) => encoder.encode(`${writeCanonical(readDocument(line))}\n`)),
  );

/** Writes BSON files as mongodump does. */
export const writeBsonDump = (from: string, to: string) =>
  rewrite(from, to, "bson", (lines) => lines.map((line) => writeBson(readDocument(line))));

/** Writes the dump with an unknown status in every twentieth subtask. */
export function writePoisoned(from: string, to: string): Promise<void> {
  let count = 0;
  return rewrite(from, to, "json", (lines, collection) =>
    lines.map((line) => {
      const isPoisoned = collection === "dramatiq_tasks" && ++count % 20 === 0;
      return encoder.encode(`${isPoisoned ? line.replace(/"status":"\w+"/, '"status":"poison"') : line}\n`);
    }));
}

/** A running mongod with the dump. */
export interface FilledMongo extends AsyncDisposable {
  /** URL with the name of the database. */
  url: string;
}

/** Starts a mongod and inserts the dump. */
export async function fillMongo(binary: string, from: string): Promise<FilledMongo> {
  const server = await startMongo(binary, { replicaSet: true });
  const batchSize = 5000;
  for (const collection of collections) {
    await insertRaw(server.url, { database: "old", collection, documents: [] });
    let documents: Uint8Array[] = [];
    const flush = async () => {
      if (documents.length > 0) await insertRaw(server.url, { database: "old", collection, documents });
      documents = [];
    };
    for await (const lines of readLines(`${from}/${collection}.json`)) {
      for (const line of lines) documents.push(writeBson(readDocument(line)));
      if (documents.length >= batchSize) await flush();
    }
    await flush();
  }
  return {
    url: server.url.replace("/?", "/old?"),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
