/** Session settings do not depend on the defaults of the server, the database or the user. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { openJsonLines } from "../../migrate/data/sources/json_lines.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { startApi } from "../support/api.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { checkCalls, loadRecorded } from "../v1/support/recorded.ts";
import { addMatrix, addPeople, call } from "../v2/support/api.ts";
import { rateAll, vote } from "../v2/support/stats.ts";

/** Defaults that hosters and administrators set, each of which changes values or results. */
const hostile: Record<string, string> = {
  DateStyle: "German, DMY",
  IntervalStyle: "sql_standard",
  TimeZone: "Asia/Shanghai",
  bytea_output: "escape",
  extra_float_digits: "-15",
  standard_conforming_strings: "off",
  array_nulls: "off",
  search_path: "pg_catalog",
  row_security: "off",
  default_transaction_isolation: "serializable",
  transform_null_equals: "on",
  gin_fuzzy_search_limit: "1",
  statement_timeout: "1",
  lock_timeout: "1",
  idle_in_transaction_session_timeout: "1",
  idle_session_timeout: "1",
  jit: "on",
};

async function setHostile({ url, sql }: TestDatabase): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  for (const [key, value] of Object.entries(hostile)) {
    await sql.unsafe(`alter database "${name}" set ${key} = '${value}'`);
  }
}

Deno.test("connect() overrides every hostile default", async () => {
  await using database = await createDatabase();
  await setHostile(database);
  const sql = connect(database.url, { max: 1 });
  const rows = await sql<{ name: string; setting: string }[]>`
    select name, setting from pg_settings where lower(name) = any(${
    Object.keys(hostile).map((key) => key.toLowerCase())
  })`;
  assert.equal(rows.length, Object.keys(hostile).length);
  const hostileNow = rows.filter(({ name, setting }) =>
    Object.entries(hostile).some(([key, value]) =>
      key.toLowerCase() === name.toLowerCase() && value === setting
    )
  );
  assert.deepEqual(hostileNow.map(({ name }) => name), []);
  await sql.end();
});

async function startHostileApi() {
  const database = await createDatabase();
  await setHostile(database);
  // The pool of the test has the same settings as the programs.
  return await startApi({ database });
}

const errorLines = (lines: Record<string, unknown>[]) => lines.filter(({ level }) => level === "error");

Deno.test("load, verify and v1 give the same results under hostile defaults", async (t) => {
  await using api = await startHostileApi();
  await loadRecorded(api.database.sql);
  await t.step("verify finds no difference", async () => {
    const source = await openJsonLines(new URL("../data/current", import.meta.url).pathname);
    const verdict = await verify(api.database.sql, source, { progress: silentProgress });
    assert.equal(verdict.differences, 0);
  });
  await t.step("v1 gives the recorded answers", (step) => checkCalls(step, api.origin));
  assert.deepEqual(errorLines(api.lines), []);
});

Deno.test("v2 counts ratings and votes under hostile defaults", async () => {
  await using api = await startHostileApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { prompts: 8, ratios: 2 });
  await rateAll(api, task, user.id, (cell) => 1 + cell % 5);
  await rateAll(api, task, other.id, (cell) => cell < 5 ? 1 + cell % 5 : null);
  await vote(api, task, user.id, [[0, 1, "left"]]);
  const read = async (path: string) => {
    const { status, body, text } = await call(api, user, "GET", `/tasks/${task}${path}`);
    assert.equal(status, 200, `${path}: ${text}`);
    return body;
  };
  const { levels } = await read("/stats?axis=v1&measure=mean,bt");
  assert.equal(levels[0].n.ratings + levels[1].n.ratings, 21);
  assert.equal((await read("/agreement")).ratings, 21);
  await read("/cells?ids=0,1,2");
  await read("/pairs/next?n=2");
  await read("/queue/next?n=2");
  await read("/export?format=csv");
  assert.deepEqual(errorLines(api.lines), []);
});
