/** What mongodump writes: a folder of .bson files with metadata (plain or gzip), or one archive file. */
import { AppError } from "../../../errors.ts";
import { archiveMagic, indexArchive, type Part, type Prelude, readPrelude } from "./archive.ts";
import { type BsonParts, BsonSource } from "./bson_files.ts";
import { type Bytes, openBytes, PiecedBytes, stampOf } from "./bytes.ts";
import { type Collection, collections } from "../documents/source.ts";

const advice = "dump again with 'mongodump --db=NAME --out=FOLDER'";
const oplogNote =
  "oplog.bson is there (mongodump --oplog): writes made during the dump are in it alone and are not applied; " +
  "'mongorestore --oplogReplay' into a MongoDB of its own and read from there, if anything wrote meanwhile";

const endings = [".bson", ".bson.gz"];

async function findFile(folder: string, name: string): Promise<string | undefined> {
  for (const ending of endings) {
    if (await stampOf(`${folder}/${name}${ending}`)) return `${folder}/${name}${ending}`;
  }
}

async function hasCollection(folder: string): Promise<boolean> {
  for (const name of collections) if (await findFile(folder, name)) return true;
  return false;
}

/** Folders that hold a database of the dump: the folder itself, or those in it. */
async function findDatabases(folder: string): Promise<string[]> {
  if (await hasCollection(folder)) return [folder];
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory && await hasCollection(`${folder}/${entry.name}`)) {
      found.push(`${folder}/${entry.name}`);
    }
  }
  return found.sort();
}

const fileParts = (location: string, files: Map<Collection, Bytes>): BsonParts => ({
  kind: "mongodump",
  location,
  bytes: [...files.values()].reduce((sum, { fileBytes }) => sum + fileBytes, 0),
  prepare: () => Promise.resolve(),
  partOf: (collection) => files.get(collection)!,
  async close() {
    for (const file of files.values()) await file[Symbol.asyncDispose]();
  },
});

function refuseMissing(what: string, missing: string[]): never {
  throw new AppError(
    "source_missing",
    `opening the dump '${what}': ${missing.join(" and ")} missing; ${advice}, without --collection`,
  );
}

/**
 * Opens a folder with .bson files, or with one subfolder that has them; undefined where it is none.
 *
 * @throws AppError source_missing where a collection lacks, invalid_source for two databases
 */
export async function openDumpFolder(folder: string): Promise<BsonSource | undefined> {
  const databases = await findDatabases(folder);
  if (databases.length === 0) return undefined;
  if (databases.length > 1) {
    throw new AppError(
      "invalid_source",
      `opening the dump '${folder}': it holds ${databases.length} databases; name one: ${
        databases.map((path) => `'${path}'`).join(", ")
      }`,
    );
  }
  const [home] = databases as [string];
  const files = new Map<Collection, Bytes>();
  const missing: string[] = [];
  for (const name of collections) {
    const path = await findFile(home, name);
    const stamp = path && await stampOf(path);
    if (stamp) files.set(name, await openBytes(path, stamp));
    else missing.push(`${name}.bson`);
  }
  if (missing.length > 0) refuseMissing(folder, missing);
  const oplog = await findFile(home, "oplog") ?? await findFile(`${home}/..`, "oplog");
  return new BsonSource(fileParts(home, files), oplog ? [oplogNote] : []);
}

function chooseDatabase({ named }: Prelude, path: string, wanted: () => string): string {
  const holding = [
    ...new Set(
      named.filter(({ collection }) => (collections as readonly string[]).includes(collection))
        .map(({ database }) => database),
    ),
  ];
  if (holding.length === 1) return holding[0]!;
  if (holding.length === 0) {
    const held = named.slice(0, 5).map(({ database, collection }) => `'${database}.${collection}'`);
    throw new AppError(
      "not_a_dump",
      `opening the archive '${path}': it holds none of ${collections.join(", ")}, but ${
        held.join(", ") || "nothing"
      }; ${advice}`,
    );
  }
  const name = wanted();
  if (holding.includes(name)) return name;
  throw new AppError(
    "invalid_source",
    `opening the archive '${path}': it holds the databases ${holding.join(", ")}; name one by DB_NAME`,
  );
}

/** Reads the archive once, when first asked; an archive tells where a collection's documents are only so. */
class ArchiveParts implements BsonParts {
  readonly kind = "mongodump archive";
  readonly location: string;
  readonly bytes: number;
  #index: Promise<Map<string, Part>> | undefined;
  #parts = new Map<string, Part>();

  constructor(readonly whole: Bytes, readonly database: string) {
    this.location = whole.path;
    this.bytes = whole.fileBytes;
  }

  async prepare(): Promise<void> {
    this.#index ??= indexArchive(this.whole, collections.map((name) => `${this.database}.${name}`));
    this.#parts = await this.#index;
  }

  partOf(collection: Collection): Bytes {
    return new PiecedBytes(this.whole, this.#parts.get(`${this.database}.${collection}`)?.pieces ?? []);
  }

  async close(): Promise<void> {
    await this.whole[Symbol.asyncDispose]();
  }
}

/**
 * Opens a file that mongodump --archive wrote, gzip or not; undefined where it is none.
 *
 * @param database names one, asked where the archive holds several with these collections
 * @throws AppError not_a_dump, source_missing, source_truncated, invalid_source
 */
export async function openArchive(path: string, database: () => string): Promise<BsonSource | undefined> {
  const stamp = await stampOf(path);
  if (!stamp) return undefined;
  const bytes = await openBytes(path, stamp);
  const head = new Uint8Array(4);
  const read = await bytes.read(0, head);
  if (read < 4 || new DataView(head.buffer).getUint32(0, true) !== archiveMagic) {
    await bytes[Symbol.asyncDispose]();
    return undefined;
  }
  try {
    const prelude = await readPrelude(bytes);
    const chosen = chooseDatabase(prelude, path, database);
    const held = new Set(
      prelude.named.filter((named) => named.database === chosen).map(({ collection }) => collection),
    );
    const missing = collections.filter((name) => !held.has(name));
    if (missing.length > 0) refuseMissing(path, missing);
    const hasOplog = prelude.named.some(({ database, collection }) =>
      database === "" && collection.startsWith("oplog")
    );
    return new BsonSource(new ArchiveParts(bytes, chosen), hasOplog ? [oplogNote] : []);
  } catch (error) {
    await bytes[Symbol.asyncDispose]();
    throw error;
  }
}
