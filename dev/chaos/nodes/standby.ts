/** A streaming standby of a running PostgreSQL: a copy of its data folder that then follows it. */
import type { Pool } from "../../../db/pg/connect.ts";

/** Files of the running server that do not belong into a copy. */
const omitted = new Set(["postmaster.pid", "postmaster.opts", "standby.signal"]);
/** Folders whose content does not belong into a copy. */
const emptied = new Set(["pg_wal", "pg_replslot", "pg_dynshmem", "pg_stat_tmp", "pg_notify", "pg_subtrans"]);

const ignoreMissing = (error: unknown) => {
  // The server removes files while they are copied. The write-ahead log that the standby replays repeats that.
  if (!(error instanceof Deno.errors.NotFound)) throw error;
};

/** Gives a copy to the owner of the original: PostgreSQL's account, if the rig runs as root. */
async function copyOwner(from: Deno.FileInfo, to: string): Promise<void> {
  if (Deno.uid() === 0) await Deno.chown(to, from.uid, from.gid);
}

async function copyFolder(from: string, to: string, isEmptied = false): Promise<void> {
  const info = await Deno.stat(from);
  await Deno.mkdir(to, { mode: 0o700, recursive: true });
  await copyOwner(info, to);
  for await (const entry of Deno.readDir(from)) {
    if (omitted.has(entry.name) || isEmptied && !entry.isDirectory) continue;
    const [source, copy] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) await copyFolder(source, copy, isEmptied || emptied.has(entry.name));
    else await copyFile(source, copy).catch(ignoreMissing);
  }
}

async function copyFile(from: string, to: string): Promise<void> {
  const info = await Deno.stat(from);
  await Deno.copyFile(from, to);
  await copyOwner(info, to);
}

async function writeFile(folder: string, name: string, text: string, append = false): Promise<void> {
  await Deno.writeTextFile(`${folder}/${name}`, text, { append, mode: 0o600 });
  await copyOwner(await Deno.stat(folder), `${folder}/${name}`);
}

/**
 * Copies a running server to `folder`, which must not exist. A server that is started there follows the original
 * until it is promoted.
 *
 * @param sql pool of one connection to the original, as a superuser
 * @param from data folder of the original
 */
export async function copyAsStandby(sql: Pool, from: string, folder: string, port: number): Promise<void> {
  await sql`select pg_backup_start('standby', fast => true)`;
  try {
    await copyFolder(from, folder);
  } finally {
    const [stopped] = await sql<{ labelfile: string }[]>`
      select labelfile from pg_backup_stop(wait_for_archive => false)`;
    await writeFile(folder, "backup_label", stopped!.labelfile);
  }
  const conninfo = `host=127.0.0.1 port=${port} user=contactsheet password=contactsheet`;
  await writeFile(folder, "postgresql.auto.conf", `primary_conninfo = '${conninfo}'\n`, true);
  await writeFile(folder, "standby.signal", "");
}
