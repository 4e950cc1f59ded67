/** The command `traffic`: shows the phase, and refuses what is out of order. */
import assert from "node:assert/strict";
import { changeTraffic, readTraffic } from "../../../db/traffic/traffic.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { runMigrate } from "../support/program.ts";

const traffic = ({ url }: TestDatabase, ...args: string[]) => runMigrate(url, "traffic", ...args);
const why = ["--reason", "a test", "--by", "tester"];

Deno.test("traffic changes the phase in the safe order, and keeps a journal", async () => {
  await using database = await createDatabase();
  const shown = await traffic(database);
  assert.equal(shown.code, 0, shown.err);
  assert.match(shown.out, /phase old: the old backend answers everything/);
  assert.equal((await traffic(database, "shadow", ...why)).code, 0);
  assert.equal((await traffic(database, "canary", "--share", "25", ...why)).code, 0);
  const { code, out } = await traffic(database, "--share", "50", ...why, "--json");
  assert.equal(code, 0);
  const report = JSON.parse(out);
  assert.equal(report.traffic.phase, "canary");
  assert.equal(report.traffic.share, 50);
  assert.equal(report.traffic.changed_by, "tester");
  assert.deepEqual(
    report.changes.map((row: Record<string, unknown>) =>
      `${row.phase_before} ${row.phase_after} ${row.share_after}`
    ),
    ["canary canary 50", "shadow canary 25", "old shadow 0"],
  );
  const text = await traffic(database);
  assert.match(text.out, /canary 25 % → canary 50 %/);
});

Deno.test("traffic refuses each faulty or unsafe change, and nothing moves", async (t) => {
  await using database = await createDatabase();
  const { sql } = database;
  const cases: [string, string[], RegExp, number][] = [
    ["a share of 101", ["canary", "--share", "101", ...why], /from 0 to 100/, 64],
    ["a share that is no number", ["canary", "--share", "x", ...why], /from 0 to 100/, 64],
    ["a share in another phase", ["shadow", "--share", "5", ...why], /'canary' only/, 1],
    ["an unknown phase", ["newer", ...why], /wanted one of old, shadow/, 64],
    ["no reason", ["shadow"], /--reason/, 64],
    ["an empty reason", ["shadow", "--reason", ""], /empty/, 64],
    ["new without a cut-over", ["new", ...why], /data cutover/, 1],
    ["canary before shadow", ["canary", ...why], /'shadow' comes first/, 1],
    ["holding by hand", ["holding", ...why], /only a cut-over/, 1],
    ["holding by force", ["holding", "--force", ...why], /only a cut-over/, 1],
  ];
  const before = await readTraffic(sql);
  for (const [what, args, wanted, exit] of cases) {
    await t.step(what, async () => {
      const { code, err } = await traffic(database, ...args);
      assert.equal(code, exit, err);
      assert.match(err, wanted);
      assert.deepEqual(await readTraffic(sql), before);
    });
  }
  await t.step("old while this system is in charge", async () => {
    await sql`update migration.traffic set phase = 'new'`;
    assert.match((await traffic(database, "old", ...why)).err, /data rollback/);
    assert.equal((await readTraffic(sql)).phase, "new");
  });
  await t.step("a forced change while a cut-over is open", async () => {
    await sql`update migration.traffic set phase = 'old'`;
    await sql`insert into migration.cutovers (kind, started_by) values ('cutover', 'x')`;
    assert.match((await traffic(database, "new", "--force", ...why)).err, /cutover --abort/);
    await sql`delete from migration.cutovers`;
  });
});

Deno.test("a forced change tells what may be lost, and the journal keeps that it was forced", async () => {
  await using database = await createDatabase();
  const { code, out, err } = await traffic(database, "new", "--force", ...why);
  assert.equal(code, 0, err);
  assert.match(out, /forced: writes of the old backend that are not applied here yet are missing/);
  const [row] = await database
    .sql`select forced, changed_by from migration.traffic_changes order by version desc limit 1`;
  assert.deepEqual({ ...row }, { forced: true, changed_by: "tester" });
});

Deno.test("of two people who change the phase at once, one is refused", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const { version } = await readTraffic(sql);
  const change = { phase: "shadow" as const, share: 0, by: "a", reason: "a", forced: false, holdMs: null };
  const results = await Promise.all([
    changeTraffic(sql, version, change),
    changeTraffic(sql, version, Object.assign({}, change, { by: "b" })),
  ]);
  assert.equal(results.filter((result) => result !== undefined).length, 1);
  assert.equal((await readTraffic(sql)).version, version + 1);
});
