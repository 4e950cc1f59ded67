import assert from "node:assert/strict";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { explainDocument, type Explanation } from "../../migrate/data/ledger/why.ts";
import { createDatabase } from "../support/database.ts";
import { makeDump, makeEdgeCaseDump, runMigrate } from "./support/program.ts";

const progress = silentProgress;

Deno.test("why finds a document by any of its ids, and shows rules, row and verifications", async (t) => {
  await using database = await createDatabase();
  await using dump = await makeEdgeCaseDump("odd-canonical");
  const { sql, url } = database;
  await load(sql, await openSource(dump.path), { progress });
  await verify(sql, await openSource(dump.path), { progress });
  const [row] = await sql`
    select s.id::text as id, s.legacy_id, a.rule
    from subtasks s join migration.adjustments a on a.row_id = s.id
    where s.legacy_id like '67eda%' order by s.id limit 1`;
  const { id, legacy_id, rule } = row!;
  for (const name of [legacy_id, legacy_id.toUpperCase(), id, `{"$oid":"${legacy_id}"}`]) {
    await t.step(name, async () => {
      const found = await explainDocument(sql, name);
      const one = found.find(({ state }) => state === "row")!;
      assert.equal(one.row!.id, id);
      assert.equal(one.document_id, `{"$oid":"${legacy_id}"}`);
      assert.ok(one.rules.some((applied) => applied.rule === rule));
      assert.ok(JSON.parse(one.document)._id);
      assert.ok(one.source!.position > 0);
      assert.deepEqual(one.history.map(({ what }) => what), ["verified: equal"]);
    });
  }
  await t.step("a quarantined document, by its _id and by its own field id", async () => {
    const [quarantined] = await sql`
      select document_id, reason from migration.quarantine where reason = 'orphan' order by id limit 1`;
    const [one] = await explainDocument(sql, quarantined!.document_id) as [Explanation];
    assert.equal(one.state, "quarantined");
    assert.equal(one.quarantine!.reason, "orphan");
    const { id } = JSON.parse(one.document);
    assert.deepEqual((await explainDocument(sql, id))[0]!.document_id, quarantined!.document_id);
  });
  await t.step("the command prints text or JSON", async () => {
    const text = await runMigrate(url, "data", "why", legacy_id);
    assert.equal(text.code, 0, text.err);
    assert.match(text.out, /has a row in subtasks/);
    assert.match(text.out, new RegExp(`rule +${rule}`));
    assert.match(text.out, /history .*verified: equal/);
    const json = await runMigrate(url, "data", "why", id, "--json");
    assert.equal(JSON.parse(json.out).findings[0].row.id, id);
  });
  await t.step("the history shows a difference that a verification found", async () => {
    await sql`update subtasks set error = 'changed here' where id = ${id}`;
    await verify(sql, await openSource(dump.path), { progress });
    const [one] = await explainDocument(sql, id) as [Explanation];
    assert.match(one.history.at(-1)!.what, /verified: changed at .*changed here/);
  });
});

Deno.test("why finds an _id of any type as text or Extended JSON", async (t) => {
  await using database = await createDatabase();
  const { sql } = database;
  const ids = [
    '"plain"',
    '{"$numberInt":"7"}',
    '"7"',
    '{"$numberDouble":"NaN"}',
    "null",
    '{"a":{"$numberInt":"1"}}',
  ];
  const users = ids.map((id, i) => `{"_id":${id},"email":"u${i}@example.com","hashed_password":"x"}`).join(
    "\n",
  );
  await using dump = await makeDump({ users });
  await load(sql, await openSource(dump.path), { progress });
  const names: [string, string[]][] = [
    ["plain", ["u0"]],
    // The number 7 and the string "7" are two documents, and the argument may mean either.
    ["7", ["u1", "u2"]],
    ['{"$numberInt":"7"}', ["u1"]],
    ['"7"', ["u2"]],
    ['{"$numberDouble":"NaN"}', ["u3"]],
    ["null", ["u4"]],
    ['{"a":1}', ["u5"]],
  ];
  for (const [name, wanted] of names) {
    await t.step(name, async () => {
      const found = await explainDocument(sql, name);
      assert.deepEqual(found.map(({ row }) => row!.email!.split("@")[0]).sort(), wanted);
    });
  }
});

Deno.test("the message about an unknown id names the accepted forms", async () => {
  await using database = await createDatabase();
  const { code, err } = await runMigrate(database.url, "data", "why", "nobody");
  assert.equal(code, 1);
  assert.match(err, /explaining 'nobody': no row, quarantined, waiting or excluded document/);
});
