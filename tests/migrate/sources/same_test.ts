import assert from "node:assert/strict";
import { startMongo } from "../../../dev/servers/mongo.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { copyOut, decodeLine } from "../../../migrate/data/tools/copy.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { BsonWriteError, writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../../migrate/data/documents/ejson_read.ts";
import { writeCanonical } from "../../../migrate/data/documents/ejson_write.ts";
import { load } from "../../../migrate/data/load/load.ts";
import { openLive } from "../../../migrate/data/sources/mongo_live.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { type Collection, collections, type Source } from "../../../migrate/data/documents/source.ts";
import { tables } from "../../../migrate/data/lens/tables.ts";
import { BsonDocument, type BsonValue } from "../../../migrate/data/documents/tree.ts";
import { verify } from "../../../migrate/data/verify/verify.ts";
import { createDatabase } from "../../support/database.ts";
import { insertRaw } from "../support/mongo_raw.ts";
import { generations, readPacked } from "../support/program.ts";
import { makeWidths } from "../support/widths.ts";
import { type Documents, dumpFiles, gzip, makeArchive, makeFolder, mongod } from "../support/sources.ts";

/** Everything that a load writes, in a form that does not depend on the form of the source. */
interface LoadedState {
  rows: Record<string, string[]>;
  ranges: unknown[];
  entries: Record<string, unknown[]>;
}

/** Returns an original, which may be a line or BSON, in a comparable form. */
const readOriginal = (bytes: Uint8Array): string =>
  writeCanonical(bytes[0] === 0x7b ? readDocument(new TextDecoder().decode(bytes)) : readBson(bytes));

async function readTable(sql: Pool, collection: Collection): Promise<string[]> {
  const { name, columns } = tables[collection];
  const reserved = await sql.reserve();
  const lines = await Array.fromAsync(
    copyOut(reserved, `copy (select ${columns.join()} from ${name}) to stdout`),
  );
  reserved.release();
  return lines.sort();
}

async function readState(sql: Pool): Promise<LoadedState> {
  const rows: LoadedState["rows"] = {};
  for (const collection of collections) rows[collection] = await readTable(sql, collection);
  const ranges = await sql`
    select collection, number, first_position, documents, state, exact, adjusted, quarantined, excluded, digest
    from migration.ranges
    order by collection, number`;
  const quarantine = await sql`
    select collection, range_number, position, document_id, reason, path, detail, original
    from migration.quarantine
    order by collection, position`;
  const originals = await sql`
    select collection, range_number, position, row_id, original
    from migration.originals
    order by collection, position`;
  const adjustments = await sql`
    select collection, range_number, position, row_id, rule, path
    from migration.adjustments
    order by collection, position, rule, path`;
  const exclusions = await sql`
    select collection, position, document_id, rule from migration.exclusions order by collection, position`;
  const parseOriginals = (list: readonly { original: Uint8Array }[]) =>
    list.map((row) => ({ ...row, original: readOriginal(row.original) }));
  return {
    rows,
    ranges: [...ranges],
    entries: {
      quarantine: parseOriginals(quarantine as unknown as { original: Uint8Array }[]),
      originals: parseOriginals(originals as unknown as { original: Uint8Array }[]),
      adjustments: [...adjustments],
      exclusions: [...exclusions],
    },
  };
}

/** Asserts that two lists are equal. On failure shows only the first difference. */
function assertSame(left: string[], right: string[]): void {
  assert.equal(left.length, right.length);
  const row = left.findIndex((line, i) => line !== right[i]);
  if (row < 0) return;
  const a = left[row]!;
  const b = right[row]!;
  const at = Math.max(0, [...a].findIndex((char, i) => char !== [...b][i]) - 60);
  assert.equal(a.slice(at, at + 300), b.slice(at, at + 300), `row ${row}`);
}

/** Loads a source into a new database, with one range a collection, and verifies it. */
async function loadAndVerify(source: Source): Promise<LoadedState> {
  await using database = await createDatabase();
  await load(database.sql, source, { progress: silentProgress, rangeBytes: 64 * 1024 * 1024 });
  const state = await readState(database.sql);
  const { verdict, differences, mismatches } = await verify(database.sql, source, {
    progress: silentProgress,
  });
  assert.equal(differences, 0, JSON.stringify(mismatches.slice(0, 3)));
  assert.equal(verdict, "equal");
  return state;
}

async function readLines(form: string, collection: Collection): Promise<string[]> {
  const bytes = form === "generations"
    ? await Deno.readFile(`${generations}/${collection}.json`)
    : await readPacked(`${form}/${collection}.json.gz`);
  return new TextDecoder().decode(bytes).split("\n").filter((line) => line !== "");
}

/** The same documents in each form. */
interface Forms {
  canonical: Record<Collection, string[]>;
  relaxed: Record<Collection, string[]>;
  bson: Documents;
}

const perCollection = <T>(make: (name: Collection) => T): Record<Collection, T> =>
  Object.fromEntries(collections.map((name) => [name, make(name)])) as Record<Collection, T>;

/** Returns undefined for documents that BSON cannot represent. They are left out of every form. */
function toBson(line: string): Uint8Array | undefined {
  try {
    return writeBson(readDocument(line));
  } catch (error) {
    if (error instanceof BsonWriteError) return undefined;
    throw error;
  }
}

/** Reads the documents of a set, or makes those of the set `widths`. */
async function readSet(set: string, name: Collection): Promise<{ relaxed: string[]; canonical: string[] }> {
  if (set === "widths") {
    const { relaxed, canonical } = makeWidths();
    return { relaxed: relaxed[name], canonical: canonical[name] };
  }
  const relaxed = await readLines(set, name);
  return {
    relaxed,
    canonical: set === "odd"
      ? await readLines("odd-canonical", name)
      : relaxed.map((line) => writeCanonical(readDocument(line))),
  };
}

async function readForms(set: string): Promise<Forms & { leftOut: number }> {
  const forms: Forms = {
    canonical: perCollection(() => []),
    relaxed: perCollection(() => []),
    bson: perCollection(() => []),
  };
  let leftOut = 0;
  for (const name of collections) {
    const { relaxed, canonical } = await readSet(set, name);
    canonical.forEach((line, i) => {
      const bytes = toBson(line);
      if (!bytes) return void leftOut++;
      forms.canonical[name].push(line);
      forms.relaxed[name].push(relaxed[i]!);
      forms.bson[name].push(bytes);
    });
  }
  return { ...forms, leftOut };
}

const jsonFiles = (lines: Record<Collection, string[]>) =>
  Object.fromEntries(
    collections.map((name) => [`${name}.json`, lines[name].map((line) => `${line}\n`).join("")]),
  );

async function fillMongo(url: string, bson: Documents): Promise<void> {
  for (const collection of collections) {
    await insertRaw(url, { database: "old", collection, documents: bson[collection] });
  }
}

/** Sorts all forms in the order in which a server, mongoexport and mongodump yield the documents: by `_id`. */
async function sortById(forms: Forms, source: Source): Promise<void> {
  for (const name of collections) {
    const { ranges } = await source.survey(name, { rangeBytes: 64 * 1024 * 1024 });
    const order: string[] = [];
    for (const range of ranges) {
      for (const raw of await source.read(range)) order.push(raw.original().toBase64());
    }
    const indices = new Map(forms.bson[name].map((bytes, i) => [bytes.toBase64(), i]));
    assert.equal(order.length, indices.size);
    const sorted = order.map((key) => indices.get(key)!);
    assert.ok(sorted.every((index) => index !== undefined), "the server has other bytes");
    forms.canonical[name] = sorted.map((i) => forms.canonical[name][i]!);
    forms.relaxed[name] = sorted.map((i) => forms.relaxed[name][i]!);
    forms.bson[name] = sorted.map((i) => forms.bson[name][i]!);
  }
}

const namespaces = (bson: Documents) =>
  collections.map((collection) => ({ database: "old", collection, documents: bson[collection] }));

/** Converts each int64 in the range of int32 to an int32, as relaxed JSON is parsed. */
function narrow(value: BsonValue): BsonValue {
  if (typeof value === "bigint") return BigInt.asIntN(32, value) === value ? Number(value) : value;
  if (Array.isArray(value)) return value.map(narrow);
  return value instanceof BsonDocument ? new BsonDocument(value.keys, value.values.map(narrow)) : value;
}

/** Replaces `extra`, which holds the widths of integers, by the rebuilt document without those widths. */
function withoutWidth(collection: Collection, lines: string[]): string[] {
  const { columns, toDocument } = tables[collection];
  const index = columns.indexOf("extra");
  return lines.map((line) => {
    const fields = decodeLine(line);
    const document = toDocument(Object.fromEntries(columns.map((column, i) => [column, fields[i]!])));
    return [...fields.toSpliced(index, 1), writeCanonical(narrow(document))].join("\t");
  });
}

for (
  const [set, leftOut, subtasks] of [["odd", 2, 401], ["generations", 0, 401], ["widths", 0, 120]] as const
) {
  Deno.test({
    name:
      `${set}: MongoDB, canonical JSON and BSON yield the same rows, digests and ledger, relaxed JSON the same rows`,
    ignore: !mongod,
    async fn(t) {
      const forms = await readForms(set);
      assert.equal(forms.leftOut, leftOut);
      await using standalone = await startMongo(mongod!);
      await fillMongo(standalone.url, forms.bson);
      await using live = await openLive(standalone.url, "old");
      await sortById(forms, live);
      const expected = await loadAndVerify(live);
      assert.ok(expected.rows.dramatiq_tasks!.length >= subtasks);

      const compare = async (name: string, source: Source) =>
        await t.step(name, async () => {
          const state = await loadAndVerify(source);
          assert.deepEqual(state.ranges, expected.ranges);
          assert.deepEqual(state.entries, expected.entries);
          for (const collection of collections) {
            assertSame(state.rows[collection]!, expected.rows[collection]!);
          }
        });

      await t.step("a replica set", async () => {
        await using replicaSet = await startMongo(mongod!, { replicaSet: true });
        await fillMongo(replicaSet.url, forms.bson);
        await using source = await openLive(replicaSet.url, "old");
        assert.equal(source.topology, "replica set");
        assert.deepEqual(await loadAndVerify(source), expected);
      });
      await using canonical = await makeFolder(jsonFiles(forms.canonical));
      await compare("canonical lines", await openSource(canonical.path));
      await using array = await makeFolder(
        Object.fromEntries(
          collections.map((name) => [`${name}.json`, `[${forms.canonical[name].join(",\n")}]`]),
        ),
      );
      await compare("canonical arrays", await openSource(array.path));
      await using dump = await makeFolder(dumpFiles(forms.bson));
      await compare("a mongodump folder", await openSource(dump.path));
      await using packed = await makeFolder({
        "old.archive": await gzip(makeArchive(namespaces(forms.bson))),
      });
      await compare("a gzipped archive", await openSource(`${packed.path}/old.archive`));
      await t.step("relaxed lines, except the widths of integers", async () => {
        await using relaxed = await makeFolder(jsonFiles(forms.relaxed));
        const state = await loadAndVerify(await openSource(relaxed.path));
        assert.deepEqual(state.entries.adjustments, expected.entries.adjustments);
        for (const name of collections) {
          assertSame(withoutWidth(name, state.rows[name]!), withoutWidth(name, expected.rows[name]!));
        }
      });
    },
  });
}
