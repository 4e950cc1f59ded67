/**
 * The files of a folder by collection. A folder must hold each collection once, so that no file is chosen
 * silently.
 */
import { AppError } from "../../../errors.ts";
import { type Collection, collections } from "../documents/source.ts";
import { findStamp } from "./bytes.ts";

export const bsonEndings = [".bson", ".bson.gz"] as const;
export const jsonEndings = [".json", ".json.gz", ".jsonl", ".jsonl.gz"] as const;

/** Returns the path of the first existing file `NAME` + ending. */
export async function findFile(
  folder: string,
  name: string,
  endings: readonly string[],
): Promise<string | undefined> {
  for (const ending of endings) {
    if (await findStamp(`${folder}/${name}${ending}`)) return `${folder}/${name}${ending}`;
  }
}

/** Lists the files of a collection in a folder, in any form that can be read. */
async function listFiles(folder: string, name: Collection): Promise<string[]> {
  const paths = [...bsonEndings, ...jsonEndings].map((ending) => `${folder}/${name}${ending}`);
  const stamps = await Promise.all(paths.map(findStamp));
  return paths.filter((_, i) => stamps[i]);
}

/** Lists the subfolders that hold a .bson file of a collection, in order. */
export async function listDatabaseFolders(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (!entry.isDirectory) continue;
    const path = `${folder}/${entry.name}`;
    const files = await Promise.all(collections.map((name) => findFile(path, name, bsonEndings)));
    if (files.some(Boolean)) found.push(path);
  }
  return found.sort();
}

/**
 * Checks that a folder holds each collection at most once: not as `users.bson` and `users.bson.gz`, not as
 * `tasks.json` and `tasks.jsonl`, and not in the folder and in a subfolder of mongodump.
 *
 * @throws AppError invalid_source, which names the files
 */
export async function checkSingleFiles(folder: string): Promise<void> {
  const inFolder = await Promise.all(collections.map((name) => listFiles(folder, name)));
  const subfolders = inFolder.some((files) => files.length > 0) ? await listDatabaseFolders(folder) : [];
  const doubles: string[] = [];
  for (const [i, name] of collections.entries()) {
    const files = [...inFolder[i]!];
    for (const subfolder of subfolders) files.push(...await listFiles(subfolder, name));
    if (files.length > 1) doubles.push(`${name} in ${files.map((path) => `'${path}'`).join(" and ")}`);
  }
  if (doubles.length === 0) return;
  throw new AppError(
    "invalid_source",
    `opening the dump '${folder}': it holds ${
      doubles.join(", ")
    }; wanted one file for each collection: move the ` +
      "files that are not to be loaded to a folder elsewhere, or name a folder that holds only the others; nothing was " +
      "written",
  );
}
