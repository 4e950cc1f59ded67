import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { generations, makeEdgeCaseDump, runMigrate } from "./support/program.ts";

const progress = silentProgress;

interface TempFolder extends AsyncDisposable {
  path: string;
}

async function makeTemp(): Promise<TempFolder> {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-backup-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Returns a digest of all rows for every table. */
async function digestTables(sql: Pool): Promise<Record<string, string>> {
  const tables = await sql`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('public', 'migration') and c.relname <> 'schema_steps'
    order by 1`;
  const digests: Record<string, string> = {};
  for (const { name } of tables) {
    const [row] = await sql.unsafe(
      `select coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as digest from ${name} t`,
    );
    digests[name] = row!.digest;
  }
  return digests;
}

Deno.test("restore brings back every row of every table, with counters, sequences and triggers", async () => {
  await using folder = await makeTemp();
  await using dump = await makeEdgeCaseDump("odd-canonical");
  await using database = await createDatabase();
  const { sql, url } = database;
  await load(sql, await openSource(dump.path), { progress });
  await verify(sql, await openSource(dump.path), { progress });
  // A backup records in the database that it was made.
  const before = await digestTables(sql);
  const path = `${folder.path}/one`;
  const made = await runMigrate(
    url,
    "data",
    "backup",
    "--quiet",
    "--json",
    "--to",
    path,
    "--from",
    dump.path,
  );
  assert.equal(made.code, 0, made.err);
  const manifest = JSON.parse(made.out);
  assert.equal(manifest.tables.find(({ name }: { name: string }) => name === "public.users").rows > 0, true);
  await using other = await createDatabase();
  const checked = await runMigrate(other.url, "data", "restore", "--quiet", "--dry-run", "--backup", path);
  assert.match(checked.out, /nothing was written/);
  const done = await runMigrate(other.url, "data", "restore", "--quiet", "--backup", path);
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(await digestTables(other.sql), before);
  assert.deepEqual((await readStatus(other.sql)).faults, []);
  assert.equal((await verify(other.sql, await openSource(dump.path), { progress })).differences, 0);
  // Sequences continue after the restored rows, and triggers are enabled again, but for those of the way back and the fence.
  const [next] = await other.sql`
    insert into migration.runs (fingerprint) select fingerprint from migration.sources returning id::int as id`;
  assert.equal(next!.id, 2);
  const [triggers] = await other.sql`
    select count(*)::int as disabled
    from pg_trigger
    where not tgisinternal and tgenabled <> 'O' and tgname !~ '_(capture_|fence$)'`;
  assert.equal(triggers!.disabled, 0);
});

Deno.test("the documents in a backup can be loaded as a source", async (t) => {
  for (const form of ["odd-canonical", "sample"] as const) {
    await t.step(form, async () => {
      await using folder = await makeTemp();
      await using dump = form === "sample" ? undefined : await makeEdgeCaseDump(form);
      await using database = await createDatabase();
      const { sql, url } = database;
      const from = dump?.path ?? generations;
      await load(sql, await openSource(from), { progress });
      const path = `${folder.path}/b`;
      const made = await runMigrate(url, "data", "backup", "--quiet", "--to", path, "--from", from);
      assert.equal(made.code, 0, made.err);
      assert.equal((await verify(sql, await openSource(`${path}/source`), { progress })).differences, 0);
      await using other = await createDatabase();
      await load(other.sql, await openSource(`${path}/source`), { progress });
      assert.deepEqual(
        (await digestTables(other.sql))["public.subtasks"],
        (await digestTables(sql))["public.subtasks"],
      );
    });
  }
});

async function changeFile(path: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  await Deno.writeFile(path, change(await Deno.readFile(path)));
}

Deno.test("a restore that cannot be done fails and changes nothing", async (t) => {
  await using folder = await makeTemp();
  await using database = await createDatabase();
  const { sql, url } = database;
  await load(sql, await openSource(generations), { progress });
  const path = `${folder.path}/b`;
  assert.equal((await runMigrate(url, "data", "backup", "--quiet", "--to", path)).code, 0);
  const restore = (...args: string[]) =>
    runMigrate(url, "data", "restore", "--quiet", "--backup", path, ...args);
  const file = `${path}/target/public.users.copy.gz`;
  const manifest = `${path}/manifest.json`;
  const goodFile = await Deno.readFile(file);
  const goodManifest = await Deno.readTextFile(manifest);
  await sql`update users set fullname = 'since then' where email = 'admin@example.com'`;
  const before = await digestTables(sql);
  const cases: [string, () => Promise<void>, string[], number, RegExp][] = [
    ["existing rows", async () => {}, [], 1, /table \S+ is not empty.*--replace/],
    [
      "a changed byte",
      () => changeFile(file, (bytes) => bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1)),
      ["--replace"],
      65,
      /public\.users\.copy\.gz/,
    ],
    [
      "a truncated file",
      () => changeFile(file, (bytes) => bytes.slice(0, -20)),
      ["--replace"],
      65,
      /cannot be unpacked/,
    ],
    ["a missing file", () => Deno.remove(file), ["--replace"], 65, /cannot be unpacked/],
    [
      "another digest",
      () => Deno.writeTextFile(manifest, goodManifest.replace(/"sha256": "[0-9a-f]{4}/, '"sha256": "0000')),
      ["--replace"],
      65,
      /is damaged/,
    ],
    [
      "another schema",
      () => Deno.writeTextFile(manifest, goodManifest.replace(/"hash": "[0-9a-f]{4}/, '"hash": "0000')),
      ["--replace"],
      70,
      /restore with the version that made the backup/,
    ],
    [
      "a table outside the schema",
      () =>
        Deno.writeTextFile(manifest, goodManifest.replace('"name": "public.users"', '"name": "public.pg_x"')),
      ["--replace"],
      72,
      /the manifest's table 'public\.pg_x'/,
    ],
    ["no manifest", () => Deno.remove(manifest), [], 66, /no manifest\.json/],
    ["another manifest", () => Deno.writeTextFile(manifest, "{}"), [], 72, /does not have the format/],
  ];
  for (const [what, change, args, exit, message] of cases) {
    await t.step(what, async () => {
      await change();
      const { code, err } = await restore(...args);
      assert.match(err, message);
      assert.equal(code, exit, err);
      assert.deepEqual(await digestTables(sql), before);
      await Deno.writeFile(file, goodFile);
      await Deno.writeTextFile(manifest, goodManifest);
    });
  }
  await t.step("--replace restores the state of the backup", async () => {
    const { code, err } = await restore("--replace");
    assert.equal(code, 0, err);
    assert.equal((await verify(sql, await openSource(generations), { progress })).differences, 0);
  });
});

Deno.test("a backup rejects a folder that is not empty", async () => {
  await using folder = await makeTemp();
  await using database = await createDatabase();
  await Deno.writeTextFile(`${folder.path}/x`, "");
  const { code, err } = await runMigrate(database.url, "data", "backup", "--to", folder.path);
  assert.equal(code, 64);
  assert.match(err, /wanted a new or empty folder, found 'x' in it/);
});
