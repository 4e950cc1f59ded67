/** The manifest of a backup: what the dump holds, and how to tell that it is complete. */
import { createHash } from "node:crypto";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { readSteps } from "../schema/runner.ts";
import type { Position, TableContent, TaskAnswers } from "./content.ts";

export const dumpName = "database.dump";
const manifestName = "manifest.json";
const formatName = "contactsheet-backup";
const formatVersion = 1;

export interface Manifest extends Position {
  format: string;
  version: number;
  /** Time of the snapshot, ISO 8601 in UTC. */
  taken_at: string;
  seconds: number;
  pg_dump: string;
  /** Steps of the schema: their number, and the hash of the last one. */
  schema: { steps: number; last: string; hash: string };
  dump: { bytes: number; sha256: string };
  tables: TableContent[];
  answers: TaskAnswers[];
}

/** The fixed fields of each manifest. */
export const manifestHead = { format: formatName, version: formatVersion };

/** Returns the SHA-256 of a file in hex. */
export async function digestFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

export const writeManifest = (folder: string, manifest: Manifest): Promise<void> =>
  Deno.writeTextFile(`${folder}/${manifestName}`, JSON.stringify(manifest, null, 2) + "\n");

/** @throws AppError source_missing, invalid_source */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = `${folder}/${manifestName}`;
  const text = await Deno.readTextFile(path).catch((cause) => {
    const what =
      "there is none; name a folder that 'deno task backup' wrote, such as backups/2026-01-31T020000Z";
    throw new AppError("source_missing", `reading the manifest '${path}': ${what}`, { cause });
  });
  let manifest: Partial<Manifest>;
  try {
    manifest = JSON.parse(text);
  } catch (cause) {
    throw new AppError(
      "invalid_source",
      `reading the manifest '${path}': it is no JSON: copy the backup again`,
      {
        cause,
      },
    );
  }
  const { format, version, dump, tables, answers, schema } = manifest;
  if (format !== formatName || !dump || !tables || !answers || !schema) {
    throw new AppError("invalid_source", `reading the manifest '${path}': it is no manifest of a backup`);
  }
  if (version !== formatVersion) {
    const text =
      `reading the manifest '${path}': its version is ${version}, wanted ${formatVersion}; use the version ` +
      "of contactsheet that wrote it";
    throw new AppError("invalid_source", text);
  }
  return manifest as Manifest;
}

/**
 * Checks that a backup is complete and that this version can use it.
 *
 * @throws AppError source_truncated, invalid_source, schema_mismatch
 */
export async function checkBackup(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder);
  const { dump, schema } = manifest;
  const path = `${folder}/${dumpName}`;
  const { size } = await Deno.stat(path).catch((cause) => {
    throw new AppError("source_truncated", `checking the backup '${folder}': '${dumpName}' is missing`, {
      cause,
    });
  });
  if (size !== dump.bytes) {
    const what = `'${dumpName}' has ${size} of ${
      counted(dump.bytes, "byte")
    }; copy it again, or use another backup`;
    throw new AppError("source_truncated", `checking the backup '${folder}': ${what}`);
  }
  if (await digestFile(path) !== dump.sha256) {
    const what = `'${dumpName}' has another SHA-256 than the manifest; copy it again, or use another backup`;
    throw new AppError("invalid_source", `checking the backup '${folder}': ${what}`);
  }
  const steps = await readSteps();
  if (schema.steps > steps.length) {
    const what =
      `it has ${counted(schema.steps, "step")} of the schema, this version has ${steps.length}; use the ` +
      "version of contactsheet that wrote it, or a newer one";
    throw new AppError("schema_mismatch", `checking the backup '${folder}': ${what}`);
  }
  return manifest;
}
