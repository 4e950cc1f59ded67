import assert from "node:assert/strict";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { checkReport, makeReport } from "../../migrate/data/ledger/report.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase } from "../support/database.ts";
import { generations, makeEdgeCaseDump, runMigrate } from "./support/program.ts";

const progress = silentProgress;
const secretKey = "0123456789abcdef0123456789abcdef";

Deno.test("the report has counts, digests, versions and history, and agrees with the ledger", async () => {
  await using database = await createDatabase();
  await using dump = await makeEdgeCaseDump("odd-canonical");
  const { sql } = database;
  await load(sql, await openSource(dump.path), { progress });
  await verify(sql, await openSource(dump.path), { progress });
  const report = await makeReport(sql, { secretKey });
  assert.equal(report.status.verdict, "balanced");
  const [rows] = await sql`select count(*)::int as rows from subtasks`;
  assert.equal(report.tables.find(({ name }) => name === "subtasks")!.rows, rows!.rows);
  assert.deepEqual(report.verifications.map(({ verdict }) => verdict), ["equal"]);
  assert.deepEqual(report.sources[0]!.runs.map(({ state }) => state), ["done"]);
  const [quarantined] = await sql`select count(*)::int as documents from migration.quarantine`;
  assert.equal(report.quarantine.reduce((sum, { documents }) => sum + documents, 0), quarantined!.documents);
  assert.ok(report.adjustments.length > 5);
  assert.ok(report.versions.schema.length >= 6);
  for (const { sha256 } of [...report.tables, ...report.sources, report]) {
    assert.match(sha256, /^[0-9a-f]{64}$/);
  }
});

Deno.test("two loads of one source give the same digests, and a changed row gives others", async () => {
  const digests: string[][] = [];
  for (const change of ["", "", "update users set fullname = 'x' where email = 'admin@example.com'"]) {
    await using database = await createDatabase();
    const { sql } = database;
    await load(sql, await openSource(generations), { progress });
    if (change) await sql.unsafe(change);
    const { tables } = await makeReport(sql, { secretKey: "" });
    digests.push(tables.map(({ sha256 }) => sha256));
  }
  assert.deepEqual(digests[0], digests[1]);
  assert.notEqual(digests[0]![0], digests[2]![0]);
  assert.deepEqual(digests[0]!.slice(1), digests[2]!.slice(1));
});

Deno.test("checkReport() accepts a signature only for its key and content", async (t) => {
  await using database = await createDatabase();
  const report = await makeReport(database.sql, { secretKey });
  const text = JSON.stringify(report, null, 2);
  assert.equal(checkReport(text, secretKey).state, "signed");
  const unsigned = JSON.stringify(await makeReport(database.sql, { secretKey: "" }));
  assert.equal(checkReport(unsigned, secretKey).state, "unsigned");
  const cases: [string, string, string, RegExp][] = [
    ["another key", text, "another key of 32 bytes or more....", /does not match this SECRET_KEY/],
    ["no key", text, "", /set SECRET_KEY/],
    [
      "another content",
      text.replace('"verdict": "empty"', '"verdict": "balanced"'),
      secretKey,
      /the report was changed/,
    ],
    ["no JSON", "x", secretKey, /not JSON/],
    ["another file", "{}", secretKey, /wanted format/],
  ];
  for (const [what, content, key, message] of cases) {
    await t.step(what, () => void assert.throws(() => checkReport(content, key), message));
  }
});

Deno.test("the command writes a report, and later compares it with the current rows", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  const folder = await Deno.makeTempDir();
  try {
    await load(sql, await openSource(generations), { progress });
    const path = `${folder}/report.json`;
    const made = await runMigrate(url, "data", "report", "--quiet", "--out", path);
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, /not signed: SECRET_KEY is not set/);
    const same = await runMigrate(url, "data", "report", "--check", path);
    assert.match(same.out, /the imported rows have not changed since then/);
    await sql`update tasks set task_name = 'x' where generation = 'T3'`;
    const later = await runMigrate(url, "data", "report", "--check", path, "--json");
    assert.deepEqual(JSON.parse(later.out).changed, ["tasks"]);
    const missing = await runMigrate(url, "data", "report", "--check", `${folder}/no.json`);
    assert.equal(missing.code, 66);
    await sql`delete from subtasks where generation = 'S1'`;
    const unbalanced = await runMigrate(url, "data", "report", "--quiet", "--json");
    assert.equal(unbalanced.code, 3);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
