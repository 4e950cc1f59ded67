/** Backups of PostgreSQL with the real pg_dump, their restore, and the backups that are refused. */
import assert from "node:assert/strict";
import { findPostgresTools } from "../../dev/servers/pg_tools.ts";
import { noSettings } from "../../dev/servers/programs.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import type { TestApi } from "../support/api.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { addMatrix, addPeople } from "../v2/support/api.ts";

const tools = await findPostgresTools(console.error);
/** Without them, nothing can be dumped: neither Debian's package nor PyPI's could be had. */
const ignore = tools === undefined;
const binArgs = tools?.bin === undefined ? [] : ["--bin", tools.bin];
const config = new URL("../../deno.json", import.meta.url).pathname;

interface Result {
  code: number;
  out: string;
  err: string;
}

async function run(task: string, args: string[], env: Record<string, string> = {}): Promise<Result> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", config, task, ...args],
    env: { ...noSettings, NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

const backup = (database: { url: string }, args: string[]) =>
  run("backup", [...args, ...binArgs], { DATABASE_URL: database.url });

async function fill(database: TestDatabase): Promise<void> {
  const secret = "0123456789abcdef0123456789abcdef";
  const fixture = { database, config: { SECRET_KEY: secret }, tokens: createTokens(secret, 60) } as TestApi;
  const { user } = await addPeople(fixture);
  await addMatrix(fixture, user, { prompts: 8, ratios: 5, name: "名前 ✓ 'quoted' \\ \"text\"" });
  await addMatrix(fixture, user, { prompts: 2, ratios: 2 });
}

/** Takes a backup of a filled database. */
async function setUp(stack: AsyncDisposableStack) {
  const database = stack.use(await createDatabase());
  await fill(database);
  const to = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(to, { recursive: true }));
  const { code, out, err } = await backup(database, ["--to", to, "--json"]);
  assert.equal(code, 0, err);
  return { database, to, taken: JSON.parse(out) };
}

async function copyFolder(from: string): Promise<string> {
  const to = await Deno.makeTempDir();
  for (const { name } of Deno.readDirSync(from)) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  return to;
}

async function editManifest(
  folder: string,
  edit: (manifest: Record<string, unknown>) => void,
): Promise<void> {
  const path = `${folder}/manifest.json`;
  const manifest = JSON.parse(await Deno.readTextFile(path));
  edit(manifest);
  await Deno.writeTextFile(path, JSON.stringify(manifest));
}

Deno.test({
  name:
    "a backup has a manifest, and the drill restores it into a fresh server with equal rows, checksums and answers",
  ignore,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { database, taken } = await setUp(stack);
    const { folder, dump, tables, answers, schema, lsn } = taken;
    assert.match(folder, /\/\d{4}-\d\d-\d\dT\d{6}Z$/);
    assert.equal((await Deno.stat(`${folder}/database.dump`)).size, dump.bytes);
    assert.match(dump.sha256, /^[0-9a-f]{64}$/);
    assert.match(lsn, /^[0-9A-F]+\/[0-9A-F]+$/);
    const [steps] = await database.sql`select count(*)::int as n from migration.schema_steps`;
    assert.equal(schema.steps, steps!.n);
    const rowsOf = (name: string) => tables.find((table: { name: string }) => table.name === name).rows;
    assert.deepEqual([rowsOf("public.tasks"), rowsOf("public.subtasks")], [2, 44]);
    assert.equal(answers.length, 2);
    // The data folder is readable by its owner alone.
    assert.equal((await Deno.stat(folder)).mode! & 0o077, 0);

    const checked = await run("backup", ["check", folder]);
    assert.equal(checked.code, 0, checked.err);
    assert.match(checked.out, /complete; taken at/);

    // What is written after the backup is not in it.
    await database.sql`update tasks set task_name = 'changed afterwards'`;
    const drilled = await run("drill", ["--from", folder, ...binArgs]);
    assert.equal(drilled.code, 0, drilled.err);
    assert.match(drilled.out, /equal: rows, checksums and answers are those of the backup/);
  },
});

Deno.test({
  name: "a backup is restored into an empty database, and into no other one",
  ignore,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { database, taken: { folder } } = await setUp(stack);
    await using empty = await createDatabase({ template: "template0" });
    const restored = await backup(empty, ["restore", folder]);
    assert.equal(restored.code, 0, restored.err);
    const names = "select task_name from tasks order by 1";
    assert.deepEqual(await empty.sql.unsafe(names), await database.sql.unsafe(names));
    const again = await backup(empty, ["restore", folder]);
    assert.equal(again.code, 1);
    assert.match(again.err, /it has \d+ tables, views and sequences; name an empty database/);
  },
});

interface Damage {
  what: string;
  damage: (folder: string) => Promise<unknown> | unknown;
  code: number;
  wanted: RegExp;
}

const damages: Damage[] = [
  {
    what: "truncated",
    damage: (folder) => Deno.truncate(`${folder}/database.dump`, 5000),
    code: 67,
    wanted: /'database\.dump' has 5000 of \d+ bytes; copy it again/,
  },
  {
    what: "without its dump",
    damage: (folder) => Deno.remove(`${folder}/database.dump`),
    code: 67,
    wanted: /'database\.dump' is missing/,
  },
  {
    what: "changed by one byte",
    damage: async (folder) => {
      const bytes = await Deno.readFile(`${folder}/database.dump`);
      bytes[bytes.length >> 1]! ^= 1;
      await Deno.writeFile(`${folder}/database.dump`, bytes);
    },
    code: 65,
    wanted: /another SHA-256 than the manifest/,
  },
  {
    what: "without a manifest",
    damage: (folder) => Deno.remove(`${folder}/manifest.json`),
    code: 66,
    wanted: /reading the manifest .*there is none; name a folder/,
  },
  {
    what: "with half a manifest",
    damage: (folder) => Deno.truncate(`${folder}/manifest.json`, 100),
    code: 65,
    wanted: /it is no JSON/,
  },
  {
    what: "of a newer schema",
    damage: (folder) =>
      editManifest(folder, (manifest) => manifest.schema = { steps: 999, last: "0999_later", hash: "" }),
    code: 70,
    wanted: /it has 999 steps of the schema, this version has \d+; use the version/,
  },
  {
    what: "of another form",
    damage: (folder) => editManifest(folder, (manifest) => manifest.version = 2),
    code: 65,
    wanted: /its version is 2, wanted 1/,
  },
  {
    what: "of a newer PostgreSQL",
    damage: (folder) =>
      editManifest(folder, (manifest) => Object.assign(manifest, { major: 99, server_version: "99.1" })),
    code: 76,
    wanted: /the backup is of 99\.1; restore into 99 or newer/,
  },
  {
    what: "whose rows are not those of the manifest",
    damage: (folder) =>
      editManifest(folder, (manifest) => {
        const tables = manifest.tables as { name: string; rows: number; checksum: string }[];
        tables.find(({ name }) => name === "public.subtasks")!.rows++;
        tables.find(({ name }) => name === "public.tasks")!.checksum = "1";
        (manifest.answers as { detail: string }[])[0]!.detail = "0";
      }),
    code: 4,
    wanted: /comparing with the backup: 3 differences; do not use this database/,
  },
];

Deno.test({
  name: "the drill refuses a damaged backup, names the damage, and leaves no database behind",
  ignore,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const { taken: { folder } } = await setUp(stack);
    const server = Deno.env.get("TEST_POSTGRES_URL")!;
    for (const { what, damage, code, wanted } of damages) {
      await t.step(`a backup ${what}`, async () => {
        const copy = await copyFolder(folder);
        await damage(copy);
        const result = await run("drill", ["--from", copy, "--server", server, "--quiet", ...binArgs]);
        await Deno.remove(copy, { recursive: true });
        assert.equal(result.code, code, result.err);
        assert.match(result.err, wanted);
      });
    }
    await using database = await createDatabase();
    const left = await database.sql`select datname from pg_database where datname like 'contactsheet_drill%'`;
    assert.deepEqual([...left], []);
  },
});

Deno.test({
  name: "a full disk and a folder that cannot be written leave nothing behind and say so",
  ignore: ignore || Deno.uid() !== 0,
  async fn() {
    await using database = await createDatabase();
    await fill(database);
    const to = await Deno.makeTempDir();
    const mounted = await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=16k", "tmpfs", to] })
      .output();
    assert.ok(mounted.success, "root may mount a file system in memory");
    try {
      const result = await backup(database, ["--to", to]);
      assert.equal(result.code, 74, result.err);
      assert.match(result.err, /the disk is full/);
      assert.deepEqual([...Deno.readDirSync(to)], []);
    } finally {
      await new Deno.Command("umount", { args: [to] }).output();
      await Deno.remove(to);
    }
  },
});

Deno.test({
  name: "a pg_dump older than the server is refused with what to install",
  ignore,
  async fn() {
    await using database = await createDatabase();
    const bin = await Deno.makeTempDir();
    await Deno.writeTextFile(`${bin}/pg_dump`, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.1'\n", {
      mode: 0o755,
    });
    const result = await run("backup", ["--bin", bin, "--to", bin], { DATABASE_URL: database.url });
    assert.equal(result.code, 76, result.err);
    assert.match(
      result.err,
      /looking for pg_dump of PostgreSQL 18 or newer: found .*13\.1; install 'postgresql-client-18'/,
    );
    assert.deepEqual([...Deno.readDirSync(bin)].map(({ name }) => name), ["pg_dump"]);
    await Deno.remove(bin, { recursive: true });
  },
});
