/** Restores a backup as a test, into a database of its own that is dropped again. */
import { connect, type Pool } from "../../../db/pg/connect.ts";
import { restore } from "../backup/restore.ts";
import { silentProgress } from "../tools/progress.ts";
import { migrateUp } from "../../schema/runner.ts";

/**
 * Restores a backup into a database next to the target, as a trial.
 *
 * @returns why it was not restored; undefined if it was
 */
export async function testRestore(
  pool: Pool,
  databaseUrl: string,
  folder: string,
): Promise<string | undefined> {
  const [role] = await pool<{ may: boolean }[]>`
    select rolcreatedb or rolsuper as may from pg_roles where rolname = current_user`;
  if (!role?.may) return "this account may not create databases; restore it yourself into an empty database";
  const name = `contactsheet_restore_${crypto.randomUUID().slice(0, 8)}`;
  await pool`create database ${pool(name)}`;
  try {
    const url = new URL(databaseUrl);
    url.pathname = `/${name}`;
    const copy = connect(url.href, { max: 2, name: "contactsheet-restore-test" });
    try {
      await migrateUp(copy);
      await restore(copy, folder, { progress: silentProgress, replace: true, dryRun: false });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await copy.end({ timeout: 1 });
    }
  } finally {
    await pool`drop database if exists ${pool(name)} with (force)`;
  }
}
