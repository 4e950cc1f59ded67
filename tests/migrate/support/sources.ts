import { Crc64 } from "../../../migrate/data/sources/crc64.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { BsonWriteError, writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../../migrate/data/documents/ejson_read.ts";
import { type Collection, collections } from "../../../migrate/data/documents/source.ts";
import { BsonDocument, Special } from "../../../migrate/data/documents/tree.ts";
import { findMongoBinary } from "../../../dev/servers/mongo.ts";
import { readPacked } from "./program.ts";

/** Path of a mongod. If it is undefined, the tests that need one are skipped. */
export const mongod = await findMongoBinary((line) => console.log(line));
if (!mongod) {
  console.log(
    "no mongod on this machine, and none could be downloaded: tests against a real MongoDB are skipped; " +
      "set MONGOMS_SYSTEM_BINARY to the path of one",
  );
}

/** BSON documents by collection. */
export type Documents = Record<Collection, Uint8Array[]>;

export interface TempFolder extends AsyncDisposable {
  path: string;
}

export async function makeFolder(files: Record<string, Uint8Array | string>): Promise<TempFolder> {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-source-" });
  for (const [name, content] of Object.entries(files)) {
    await Deno.mkdir(`${path}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    if (typeof content === "string") await Deno.writeTextFile(`${path}/${name}`, content);
    else await Deno.writeFile(`${path}/${name}`, content);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export const gzip = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> =>
  await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();

/** Returns the .bson files of a dump. */
export const dumpFiles = (documents: Documents): Record<string, Uint8Array<ArrayBuffer>> =>
  Object.fromEntries(collections.map((name) => [`${name}.bson`, concat(documents[name])]));

const terminator = new Uint8Array([255, 255, 255, 255]);
const header = (database: string, collection: string, crc?: bigint) =>
  writeBson(
    new BsonDocument(["db", "collection", "EOF", "CRC"], [
      database,
      collection,
      crc !== undefined,
      BigInt.asIntN(64, crc ?? 0n),
    ]),
  );

/** A namespace of an archive. */
export interface Namespace {
  database: string;
  collection: string;
  documents: Uint8Array[];
}

/** Returns a mongodump archive with alternating blocks of `blockSize` documents for each namespace. */
export function makeArchive(namespaces: Namespace[], blockSize = 7): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [
    new Uint8Array([0x6d, 0xe2, 0x99, 0x81]),
    writeBson(
      new BsonDocument(["concurrent_collections", "version", "server_version", "tool_version"], [
        4,
        "0.1",
        "6.0.5",
        "100.7.0",
      ]),
    ),
    ...namespaces.map(({ database, collection }) =>
      writeBson(
        new BsonDocument(["db", "collection", "metadata", "size", "type"], [
          database,
          collection,
          '{"indexes":[]}',
          0,
          "collection",
        ]),
      )
    ),
    terminator,
  ];
  const documentsMax = Math.max(...namespaces.map(({ documents }) => documents.length));
  for (let from = 0; from < documentsMax; from += blockSize) {
    for (const { database, collection, documents } of namespaces) {
      const block = documents.slice(from, from + blockSize);
      if (block.length > 0) parts.push(header(database, collection), ...block, terminator);
    }
  }
  for (const { database, collection, documents } of namespaces) {
    const crc = new Crc64();
    documents.forEach((document) => crc.update(document));
    parts.push(header(database, collection, crc.value()), terminator);
  }
  return concat(parts);
}

/** Returns the edge cases as BSON. One of them has a value that no column and no JSON can represent. */
export async function makeEdgeCaseBson(): Promise<Documents> {
  const read = async (name: string) =>
    new TextDecoder().decode(await readPacked(`odd/${name}.json.gz`)).trimEnd().split("\n")
      // Large documents would only take time.
      .filter((line) => line.length < 20_000)
      .flatMap((line) => {
        try {
          return [writeBson(readDocument(line))];
        } catch (error) {
          // BSON cannot represent a NUL in a key or a lone surrogate.
          if (error instanceof BsonWriteError) return [];
          throw error;
        }
      });
  const documents = {
    users: await read("users"),
    tasks: await read("tasks"),
    dramatiq_tasks: await read("dramatiq_tasks"),
  };
  const { keys, values } = readBson(documents.dramatiq_tasks[300]!);
  const twoAsBoolean = new Special('{"$bson":{"type":"08","base64":"Ag=="}}');
  documents.dramatiq_tasks[300] = writeBson(new BsonDocument([...keys, "odd"], [...values, twoAsBoolean]));
  return documents;
}
