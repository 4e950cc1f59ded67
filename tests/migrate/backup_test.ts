import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { generations, makeOddDump, runMigrate } from "./support/program.ts";

const progress = silentProgress;

interface TempFolder extends AsyncDisposable {
  path: string;
}

async function makeTemp(): Promise<TempFolder> {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-backup-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Every row of every table, by digest. */
async function digests(sql: Pool): Promise<Record<string, string>> {
  const tables = await sql`
    select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('public', 'migration') and c.relname <> 'schema_steps' order by 1`;
  const all: Record<string, string> = {};
  for (const { name } of tables) {
    const [row] = await sql.unsafe(
      `select coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as digest from ${name} t`,
    );
    all[name] = row!.digest;
  }
  return all;
}

Deno.test("a backup restores every row of every table, counters, sequences and triggers with them", async () => {
  await using folder = await makeTemp();
  await using dump = await makeOddDump("odd-canonical");
  await using database = await createDatabase();
  const { sql, url } = database;
  await load(sql, await openSource(dump.path), { progress });
  await verify(sql, await openSource(dump.path), { progress });
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
  const before = await digests(sql);

  await using other = await createDatabase();
  const checked = await runMigrate(other.url, "data", "restore", "--quiet", "--dry-run", "--backup", path);
  assert.match(checked.out, /nothing was written/);
  const done = await runMigrate(other.url, "data", "restore", "--quiet", "--backup", path);
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(await digests(other.sql), before);
  assert.deepEqual((await readStatus(other.sql)).faults, []);
  assert.equal((await verify(other.sql, await openSource(dump.path), { progress })).differences, 0);
  // What numbers itself goes on where it was, and triggers work again.
  const [next] = await other.sql`
    insert into migration.runs (fingerprint) select fingerprint from migration.sources returning id::int as id`;
  assert.equal(next!.id, 2);
  const [triggers] = await other.sql`
    select count(*)::int as disabled from pg_trigger where not tgisinternal and tgenabled <> 'O'`;
  assert.equal(triggers!.disabled, 0);
});

Deno.test("the documents kept in a backup are the source again", async (t) => {
  for (const form of ["odd-canonical", "sample"] as const) {
    await t.step(form, async () => {
      await using folder = await makeTemp();
      await using dump = form === "sample" ? undefined : await makeOddDump(form);
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
        (await digests(other.sql))["public.subtasks"],
        (await digests(sql))["public.subtasks"],
      );
    });
  }
});

async function damage(path: string, how: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  await Deno.writeFile(path, how(await Deno.readFile(path)));
}

Deno.test("a restore refuses what it should, and nothing has changed then", async (t) => {
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
  const before = await digests(sql);
  const cases: [string, () => Promise<void>, string[], number, RegExp][] = [
    ["rows that are there", async () => {}, [], 1, /table \S+ holds rows already.*--replace/],
    [
      "a byte changed",
      () => damage(file, (bytes) => bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1)),
      ["--replace"],
      65,
      /public\.users\.copy\.gz/,
    ],
    [
      "a file cut off",
      () => damage(file, (bytes) => bytes.slice(0, -20)),
      ["--replace"],
      65,
      /cannot be unpacked/,
    ],
    ["a file that is gone", () => Deno.remove(file), ["--replace"], 65, /cannot be unpacked/],
    [
      "another digest",
      () => Deno.writeTextFile(manifest, goodManifest.replace(/"sha256": "[0-9a-f]{4}/, '"sha256": "0000')),
      ["--replace"],
      65,
      /is not what was written/,
    ],
    [
      "another schema",
      () => Deno.writeTextFile(manifest, goodManifest.replace(/"hash": "[0-9a-f]{4}/, '"hash": "0000')),
      ["--replace"],
      70,
      /restore with the version that made it/,
    ],
    [
      "a table it should not touch",
      () =>
        Deno.writeTextFile(manifest, goodManifest.replace('"name": "public.users"', '"name": "public.pg_x"')),
      ["--replace"],
      72,
      /names table 'public\.pg_x'/,
    ],
    ["no manifest", () => Deno.remove(manifest), [], 66, /no manifest\.json/],
    ["another manifest", () => Deno.writeTextFile(manifest, "{}"), [], 72, /not of format/],
  ];
  for (const [what, harm, args, exit, message] of cases) {
    await t.step(what, async () => {
      await harm();
      const { code, err } = await restore(...args);
      assert.match(err, message);
      assert.equal(code, exit, err);
      assert.deepEqual(await digests(sql), before);
      await Deno.writeFile(file, goodFile);
      await Deno.writeTextFile(manifest, goodManifest);
    });
  }
  await t.step("--replace brings back what was there at the backup", async () => {
    const { code, err } = await restore("--replace");
    assert.equal(code, 0, err);
    assert.equal((await verify(sql, await openSource(generations), { progress })).differences, 0);
  });
});

Deno.test("a backup wants a folder of its own", async () => {
  await using folder = await makeTemp();
  await using database = await createDatabase();
  await Deno.writeTextFile(`${folder.path}/x`, "");
  const { code, err } = await runMigrate(database.url, "data", "backup", "--to", folder.path);
  assert.equal(code, 64);
  assert.match(err, /wanted a new or empty folder, it holds 'x'/);
});
