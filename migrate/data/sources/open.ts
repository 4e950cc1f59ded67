/** Which kind of source an address is. */
import { parseConfig, readEnvironment } from "../../../config.ts";
import { AppError } from "../../../errors.ts";
import { openFolder } from "./folder.ts";
import { openLive } from "./mongo_live.ts";
import { openArchive, openDumpFolder } from "./mongodump.ts";
import { openForms } from "./mongoexport_forms.ts";
import type { Source } from "../documents/source.ts";

/** The word for the MongoDB that the settings name, so that no password stands in a command line. */
const fromSettings = "mongodb";

/** The settings that name an old database. */
export interface OldDatabase {
  MONGODB_URL: string;
  DB_NAME: string;
}

const readSettings = (): OldDatabase => parseConfig(readEnvironment(), "migrate");

async function openMongo(from: string, settings: () => OldDatabase): Promise<Source> {
  if (from !== fromSettings) {
    // A database in the address itself goes before the settings' one.
    return await openLive(from, /^[^/]*\/\/[^/]*\/[^?]/.test(from) ? "" : settings().DB_NAME);
  }
  const { MONGODB_URL, DB_NAME } = settings();
  if (MONGODB_URL === "") {
    throw new AppError(
      "invalid_source",
      "opening the source 'mongodb': no MONGODB_URL is set; wanted mongodb://USER:PASSWORD@HOST:PORT, and DB_NAME",
    );
  }
  return await openLive(MONGODB_URL, DB_NAME);
}

/**
 * Opens what `--from` names: a folder as mongoexport or mongodump fills it, a file of `mongodump --archive`, an
 * address `mongodb://…`, or the word `mongodb` for MONGODB_URL and DB_NAME.
 *
 * @param settings asked only where the name alone does not do
 * @throws AppError source_missing, not_a_dump, invalid_source, source_truncated, database_unreachable,
 * database_refused
 */
export async function openSource(from: string, settings: () => OldDatabase = readSettings): Promise<Source> {
  if (from === fromSettings || /^mongodb(\+srv)?:\/\//i.test(from)) return await openMongo(from, settings);
  if (/^[a-z+]+:\/\//i.test(from)) {
    throw new AppError(
      "invalid_source",
      `opening the source '${
        from.split("://")[0]
      }://…': wanted mongodb://…, or a folder or file that mongodump or ` +
        "mongoexport wrote",
    );
  }
  const stat = await Deno.stat(from).catch(() => undefined);
  if (stat?.isFile) {
    const archive = await openArchive(from, () => settings().DB_NAME);
    if (archive) return archive;
  }
  if (stat?.isDirectory) {
    const folder = from.replace(/(?<=.)\/+$/, "");
    const special = await openDumpFolder(folder) ?? await openForms(folder);
    if (special) return special;
  }
  return await openFolder(from);
}
