/**
 * Output of mongodump: a folder of .bson files with metadata, or one archive file. Both may be compressed by
 * gzip.
 */
import { AppError } from "../../../errors.ts";
import { archiveMagic, indexArchive, type Part, type Prelude, readPrelude } from "./archive.ts";
import { type BsonParts, BsonSource } from "./bson_files.ts";
import { type Bytes, findStamp, JoinedBytes, openBytes } from "./bytes.ts";
import { type Collection, collections } from "../documents/source.ts";
import { bsonEndings, checkSingleFiles, findFile, listDatabaseFolders } from "./folder_files.ts";
import { counted } from "../../../phrases.ts";

const advice = "dump again with 'mongodump --db=NAME --out=FOLDER'";
const oplogNote =
  "the dump has an oplog.bson (mongodump --oplog), which is not applied: it alone holds the writes made during the " +
  "dump; if there were any, run 'mongorestore --oplogReplay' into a separate MongoDB and read from there";

/** Finds the folders with a database of the dump: the folder itself, or its subfolders. */
async function findDatabases(folder: string): Promise<string[]> {
  for (const name of collections) if (await findFile(folder, name, bsonEndings)) return [folder];
  return await listDatabaseFolders(folder);
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

function throwMissing(path: string, missing: string[]): never {
  throw new AppError(
    "source_missing",
    `opening the dump '${path}': ${missing.join(" and ")} missing; ${advice}, without --collection`,
  );
}

/**
 * Opens a folder that has .bson files, itself or in one subfolder. Returns undefined for any other folder.
 *
 * @throws AppError source_missing (a collection is missing), invalid_source (several databases)
 */
export async function openDumpFolder(folder: string): Promise<BsonSource | undefined> {
  const databases = await findDatabases(folder);
  if (databases.length === 0) return undefined;
  if (databases.length > 1) {
    throw new AppError(
      "invalid_source",
      `opening the dump '${folder}': it holds ${counted(databases.length, "database")}; name one: ${
        databases.map((path) => `'${path}'`).join(", ")
      }`,
    );
  }
  const databaseFolder = databases[0]!;
  if (databaseFolder !== folder) await checkSingleFiles(databaseFolder);
  const files = new Map<Collection, Bytes>();
  const missing: string[] = [];
  for (const name of collections) {
    const path = await findFile(databaseFolder, name, bsonEndings);
    const stamp = path && await findStamp(path);
    if (stamp) files.set(name, await openBytes(path, stamp));
    else missing.push(`${name}.bson`);
  }
  if (missing.length > 0) throwMissing(folder, missing);
  const oplog = await findFile(databaseFolder, "oplog", bsonEndings) ??
    await findFile(`${databaseFolder}/..`, "oplog", bsonEndings);
  return new BsonSource(fileParts(databaseFolder, files), oplog ? [oplogNote] : []);
}

/** @param preferred called if several databases have these collections */
function chooseDatabase({ namespaces }: Prelude, path: string, preferred: () => string): string {
  const candidates = [
    ...new Set(
      namespaces.filter(({ collection }) => (collections as readonly string[]).includes(collection))
        .map(({ database }) => database),
    ),
  ];
  if (candidates.length === 1) return candidates[0]!;
  if (candidates.length === 0) {
    const existing = namespaces.slice(0, 5).map(({ database, collection }) => `'${database}.${collection}'`);
    throw new AppError(
      "not_a_dump",
      `opening the archive '${path}': it holds none of ${collections.join(", ")}, but ${
        existing.join(", ") || "nothing"
      }; ${advice}`,
    );
  }
  const name = preferred();
  if (candidates.includes(name)) return name;
  throw new AppError(
    "invalid_source",
    `opening the archive '${path}': it holds the databases ${candidates.join(", ")}; name one by DB_NAME`,
  );
}

/** The collections of an archive. Finding their documents needs one pass over the whole archive. */
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
    return new JoinedBytes(this.whole, this.#parts.get(`${this.database}.${collection}`)?.pieces ?? []);
  }

  async close(): Promise<void> {
    await this.whole[Symbol.asyncDispose]();
  }
}

/**
 * Opens a file written by `mongodump --archive`. Returns undefined for any other file.
 *
 * @param database returns a name, called if several databases have these collections
 * @throws AppError not_a_dump, source_missing, source_truncated, invalid_source
 */
export async function openArchive(path: string, database: () => string): Promise<BsonSource | undefined> {
  const stamp = await findStamp(path);
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
    const existing = new Set(
      prelude.namespaces.filter(({ database }) => database === chosen).map(({ collection }) => collection),
    );
    const missing = collections.filter((name) => !existing.has(name));
    if (missing.length > 0) throwMissing(path, missing);
    const hasOplog = prelude.namespaces.some(({ database, collection }) =>
      database === "" && collection.startsWith("oplog")
    );
    return new BsonSource(new ArchiveParts(bytes, chosen), hasOplog ? [oplogNote] : []);
  } catch (error) {
    await bytes[Symbol.asyncDispose]();
    throw error;
  }
}
