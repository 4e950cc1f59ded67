/** Servers and databases that cannot hold the data are refused before any work. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { requireServer, requireWritableServer } from "../../db/pg/server.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { createDatabase } from "../support/database.ts";

for (const encoding of ["LATIN1", "EUC_CN", "SQL_ASCII"]) {
  Deno.test(`a database with encoding ${encoding} is refused before the first schema step`, async () => {
    await using admin = await createDatabase();
    const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
    await admin.sql.unsafe(`create database ${name} encoding '${encoding}' locale 'C' template template0`);
    const url = new URL(admin.url);
    url.pathname = `/${name}`;
    const sql = connect(url.href, { max: 1 });
    const wanted = new RegExp(`encoding is '${encoding}'; wanted UTF8: .*template0`);
    await assert.rejects(() => migrateUp(sql), { code: "database_unsuitable", message: wanted });
    const [row] = await sql`select to_regclass('migration.schema_steps') is null as is_empty`;
    assert.equal(row!.is_empty, true);
    await sql.end();
    await admin.sql.unsafe(`drop database ${name}`);
  });
}

Deno.test("a server that only permits reads is refused before a migration, and reported to other programs", async () => {
  await using database = await createDatabase();
  const name = new URL(database.url).pathname.slice(1);
  await database.sql.unsafe(`alter database "${name}" set default_transaction_read_only = on`);
  const sql = connect(database.url, { max: 1 });
  const message = /nothing can be written; it only permits reads/;
  await assert.rejects(() => migrateUp(sql), { code: "database_unsuitable", message });
  await assert.rejects(() => requireWritableServer(sql), { code: "database_unsuitable", message });
  assert.match(await requireServer(sql) ?? "", /only permits reads/);
  await sql.end();
});
