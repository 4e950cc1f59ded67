/** Opens a source of any kind. */
import { parseConfig, readEnvironment } from "../../../config.ts";
import { AppError } from "../../../errors.ts";
import { checkSingleFiles } from "./folder_files.ts";
import { openJsonLines } from "./json_lines.ts";
import { type FollowedMongo, openFollowed } from "./mongo_follow.ts";
import { type LiveOptions, openLive } from "./mongo_live.ts";
import type { MongoSetting } from "./mongo_url.ts";
import { openArchive, openDumpFolder } from "./mongodump.ts";
import { openJsonFiles } from "./json_files.ts";
import type { Source } from "../documents/source.ts";

/** Stands for the MongoDB of the settings, so that no password appears in a command line. */
const fromSettings = "mongodb";

/** Settings that name the database of the old backend. */
export interface OldDatabase {
  MONGODB_URL: string;
  DB_NAME: string;
}

const readSettings = (): OldDatabase => parseConfig(readEnvironment(), "migrate");

const isMongoUrl = (from: string) => /^mongodb(\+srv)?:\/\//i.test(from);

/** Reports whether a name stands for a running MongoDB. */
export const isMongo = (from: string): boolean => from === fromSettings || isMongoUrl(from);

/** The address of a MongoDB. An empty database means that the URL names it. */
interface MongoTarget {
  url: string;
  database: string;
  setting: MongoSetting;
}

/**
 * Returns the MongoDB that `from` names: a URL, or `mongodb` for the settings.
 *
 * @throws AppError invalid_source
 */
export function findMongo(from: string, settings: () => OldDatabase = readSettings): MongoTarget {
  if (from !== fromSettings) {
    // A database in the URL takes precedence over DB_NAME.
    return {
      url: from,
      database: /^[^/]*\/\/[^/]*\/[^?]/.test(from) ? "" : settings().DB_NAME,
      setting: "the URL",
    };
  }
  const { MONGODB_URL, DB_NAME } = settings();
  if (MONGODB_URL === "") {
    throw new AppError(
      "invalid_source",
      "opening the source 'mongodb': no MONGODB_URL is set; wanted mongodb://USER:PASSWORD@HOST:PORT, and DB_NAME",
    );
  }
  return { url: MONGODB_URL, database: DB_NAME, setting: "MONGODB_URL" };
}

/**
 * Opens a MongoDB to follow it.
 *
 * @throws AppError usage (anything but a MongoDB), invalid_source, database_unreachable, database_refused,
 * source_missing, database_unsuitable
 */
export async function openFollowedSource(
  from: string,
  settings: () => OldDatabase = readSettings,
): Promise<FollowedMongo> {
  if (!isMongo(from)) {
    throw new AppError(
      "usage",
      `--from '${from}': wanted 'mongodb' or mongodb://…; only a running MongoDB changes`,
    );
  }
  const { url, database, setting } = findMongo(from, settings);
  return await openFollowed(url, database, setting);
}

/** Opens a source as openSource() does, and reads a running MongoDB as it is at one moment, where the server can do that. */
export const openSnapshot = (from: string): Promise<Source> =>
  openSource(from, readSettings, { snapshot: true });

/**
 * Opens the source that `--from` names: a folder written by mongoexport or mongodump, a file written by
 * `mongodump --archive`, a URL `mongodb://…`, or the word `mongodb` for MONGODB_URL and DB_NAME.
 *
 * @param settings called only if the name alone is not enough
 * @param live how a running MongoDB is read
 * @throws AppError source_missing, not_a_dump, invalid_source (also for two files of one collection),
 * source_truncated, database_unreachable, database_refused
 */
export async function openSource(
  from: string,
  settings: () => OldDatabase = readSettings,
  live: LiveOptions = {},
): Promise<Source> {
  if (isMongo(from)) {
    const { url, database, setting } = findMongo(from, settings);
    return await openLive(url, database, setting, live);
  }
  if (/^[a-z+]+:\/\//i.test(from)) {
    const [scheme] = from.split("://");
    throw new AppError(
      "invalid_source",
      `opening the source '${scheme}://…': wanted mongodb://…, or a folder or file that mongodump or mongoexport ` +
        "wrote",
    );
  }
  const stat = await Deno.stat(from).catch(() => undefined);
  if (stat?.isFile) {
    const archive = await openArchive(from, () => settings().DB_NAME);
    if (archive) return archive;
  }
  if (stat?.isDirectory) {
    const folder = from.replace(/(?<=.)\/+$/, "");
    await checkSingleFiles(folder);
    const source = await openDumpFolder(folder) ?? await openJsonFiles(folder);
    if (source) return source;
  }
  return await openJsonLines(from);
}
