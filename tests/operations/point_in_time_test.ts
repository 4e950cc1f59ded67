/** A restore to a point in time, as docs/backup.md describes it: base backup, archived log, recovery target. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { copyAsStandby } from "../../dev/chaos/nodes/standby.ts";
import { retry, tolerantOptions } from "../../dev/chaos/servers.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { readPage } from "../docs/support/pages.ts";
import { waitFor } from "../support/wait.ts";

/** Returns the value of a setting in the page's examples. */
function readRecipe(setting: string): string {
  const value = new RegExp(`^ *${setting} = '(.*)'$`, "m").exec(readPage("docs/backup.md"))?.[1];
  assert.ok(value, setting);
  return value;
}

Deno.test("a database is restored to the moment before a mistake from a base backup and the archived log", async () => {
  const [folder, copy, archive] = await Promise.all(
    ["primary", "restored", "archive"].map((name) => Deno.makeTempDir({ prefix: `contactsheet-${name}-` })),
  );
  const port = findFreePort();
  const primary = await startPostgres({ folder: folder!, keep: true, port });
  const { uid, gid } = await Deno.stat(folder!);
  if (Deno.uid() === 0) await Deno.chown(archive!, uid, gid);
  const place = (recipe: string) => recipe.replaceAll("/backup/wal", archive!);
  const admin = connect(primary.url("postgres"), { ...tolerantOptions, max: 1 });
  await admin`alter system set archive_mode = on`;

  await admin.unsafe(
    `alter system set archive_command = '${place(readRecipe("archive_command")).replaceAll("'", "''")}'`,
  );
  await admin`create database shots`;
  await admin.end();
  await primary.stop();

  await using server = await startPostgres({ folder: folder!, keep: false, port });
  const sql = connect(server.url("shots"), { max: 2, silentMsMax: 60_000 });
  await migrateUp(sql);
  await sql`insert into users (email, hashed_password) values ('before@example.com', '')`;
  const superuser = connect(server.url("postgres"), { max: 1 });
  await copyAsStandby(superuser, folder!, copy!, port);

  await sql`insert into users (email, hashed_password) values ('after@example.com', '')`;
  await sql`select pg_sleep(0.05)`;
  const [moment] = await sql<{ at: string }[]>`select clock_timestamp()::text as at`;
  await sql`select pg_sleep(0.05)`;
  await sql`delete from users`;
  const [last] = await superuser<{ name: string }[]>`select pg_walfile_name(pg_switch_wal()) as name`;
  await waitFor(
    "the archived log",
    () => [...Deno.readDirSync(archive!)].some(({ name }) => name === last!.name),
  );
  await Promise.all([sql.end({ timeout: 1 }), superuser.end({ timeout: 1 })]);

  // A copy that is restored, not one that follows: its signal is another file.
  await Deno.remove(`${copy}/standby.signal`);
  await Deno.writeTextFile(`${copy}/recovery.signal`, "");
  await Deno.writeTextFile(
    `${copy}/postgresql.auto.conf`,
    [
      "",
      "archive_mode = off",
      `restore_command = '${place(readRecipe("restore_command"))}'`,
      `recovery_target_time = '${moment!.at}'`,
      `recovery_target_action = '${readRecipe("recovery_target_action")}'`,
      "",
    ].join("\n"),
    { append: true },
  );
  if (Deno.uid() === 0) await Deno.chown(`${copy}/recovery.signal`, uid, gid);
  await using restored = await startPostgres({ folder: copy!, keep: false });
  const found = connect(restored.url("shots"), { ...tolerantOptions, max: 1 });
  const emails = await retry(() => found<{ email: string }[]>`select email from users order by email`);
  assert.deepEqual(emails.map(({ email }) => email), ["after@example.com", "before@example.com"]);
  const writable = await waitFor("the end of the recovery", async () => {
    const [row] = await found`select pg_is_in_recovery() as recovers`;
    return !row!.recovers;
  });
  assert.ok(writable);
  await found.end({ timeout: 1 });
  await Deno.remove(archive!, { recursive: true });
});
