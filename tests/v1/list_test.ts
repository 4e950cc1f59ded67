/** v1's task list: filters, pages, totals, search by name, and query plans. */
import assert from "node:assert/strict";
import postgres from "postgres";
import type { Pool } from "../../db/pg/connect.ts";
import { listTasks, type TaskFilter } from "../../db/v1/tasks.ts";
import { createDatabase } from "../support/database.ts";
import { seedTask } from "../support/task_rows.ts";

const database = await createDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

interface Listed {
  tasks: { id: string; task_name: string; status: string; username: string }[];
  total: number;
  page: number;
  page_size: number;
}

const list = async (filter: Partial<TaskFilter> = {}, on: Pool = sql): Promise<Listed> =>
  JSON.parse(await listTasks(on, { page: 1, pageSize: 100, ...filter }));

Deno.test("lists are filtered and paged, newest first, without deleted tasks, with a total of all pages", async () => {
  const states = ["pending", "processing", "completed", "failed", "cancelled"];
  const ids: string[] = [];
  for (let n = 0; n < 20; n++) {
    ids.unshift(
      await seedTask(sql, {
        task_name: `filter ${n}`,
        username: n % 2 === 0 ? "even@example.com" : "Odd@example.com",
        status: states[n % 5]!,
        created_at: new Date(Date.UTC(2025, 4, 13, 0, n)).toISOString(),
        is_deleted: n === 19,
      }),
    );
  }
  const left = ids.slice(1);
  const cases: [filter: Partial<TaskFilter>, names: number[], total: number][] = [
    [{}, left.map((_, i) => 18 - i), 19],
    [{ page: 1, pageSize: 3 }, [18, 17, 16], 19],
    [{ page: 3, pageSize: 3 }, [12, 11, 10], 19],
    [{ page: 7, pageSize: 3 }, [0], 19],
    [{ page: 8, pageSize: 3 }, [], 19],
    [{ page: 999_999_999_999, pageSize: 100 }, [], 19],
    [{ username: "even@example.com", pageSize: 2 }, [18, 16], 10],
    [{ username: "EVEN@example.com" }, [], 0],
    [{ username: "" }, left.map((_, i) => 18 - i), 19],
    [{ username: "nobody" }, [], 0],
    [{ statuses: ["completed"] }, [17, 12, 7, 2], 4],
    [{ statuses: ["completed", ""] }, [17, 12, 7, 2], 4],
    [{ statuses: ["completed", "completed"], pageSize: 2 }, [17, 12], 4],
    [{ statuses: ["failed", "pending"], pageSize: 3 }, [18, 15, 13], 8],
    [{ statuses: ["failed", "pending"], pageSize: 3, page: 2 }, [10, 8, 5], 8],
    [{ statuses: ["nope"] }, [], 0],
    [{ statuses: ["Completed"] }, [], 0],
    [{ statuses: ["pending"], username: "even@example.com" }, [10, 0], 2],
    [{ taskName: "filter 1", pageSize: 2 }, [18, 17], 10],
    [{ taskName: "filter 1", pageSize: 2, page: 5 }, [10, 1], 10],
    [{ taskName: "FILTER", statuses: ["pending"], username: "even@example.com" }, [10, 0], 2],
  ];
  for (const [filter, numbers, total] of cases) {
    const got = await list(filter);
    const { page = 1, pageSize = 100 } = filter;
    assert.deepEqual(
      [got.tasks.map(({ task_name }) => task_name), got.total, got.page, got.page_size],
      [numbers.map((n) => `filter ${n}`), total, page, pageSize],
      JSON.stringify(filter),
    );
  }
  await sql`delete from tasks`;
  assert.deepEqual(await list(), { tasks: [], total: 0, page: 1, page_size: 100 });
});

const long = `${"长".repeat(3000)}needle 针`;
const names = [
  "1girl, tab\there",
  "100% sure_thing",
  "back\\slash",
  `it's "quoted"`,
  "樱花树下的少女",
  "夕阳",
  "ＦＵＬＬ ｗｉｄｔｈ",
  "Ünïcode ŒUVRE",
  "ΣΊΣΥΦΟΣ",
  "Straße STRAẞE",
  "emoji 🐱‍👤 cat",
  "line\nbreak",
  "Kelvin K, long ſ",
  "(a|b)* [x] ^$ .",
  "",
  long,
];

const searches: [pattern: string, found: string[]][] = [
  ["girl", ["1girl, tab\there"]],
  ["GIRL", ["1girl, tab\there"]],
  ["%", ["100% sure_thing"]],
  ["_", ["100% sure_thing"]],
  ["0%", ["100% sure_thing"]],
  ["\\", ["back\\slash"]],
  ["K\\s", ["back\\slash"]],
  ["'", [`it's "quoted"`]],
  ['"q', [`it's "quoted"`]],
  ["樱", ["樱花树下的少女"]],
  ["少女", ["樱花树下的少女"]],
  ["樱花树", ["樱花树下的少女"]],
  ["樱树", []],
  ["女少", []],
  ["夕阳", ["夕阳"]],
  ["夕阳 ", []],
  ["ｆｕｌｌ", ["ＦＵＬＬ ｗｉｄｔｈ"]],
  ["full", []],
  ["ÜNÏ", ["Ünïcode ŒUVRE"]],
  ["œuvre", ["Ünïcode ŒUVRE"]],
  ["unicode", []],
  ["σίσυφος", ["ΣΊΣΥΦΟΣ"]],
  ["STRAẞE", ["Straße STRAẞE"]],
  ["strasse", []],
  ["🐱", ["emoji 🐱‍👤 cat"]],
  ["🐱‍👤", ["emoji 🐱‍👤 cat"]],
  ["🐶", []],
  ["e\nb", ["line\nbreak"]],
  ["kelvin k", ["Kelvin K, long ſ"]],
  ["LONG S", ["Kelvin K, long ſ"]],
  ["(a|b)*", ["(a|b)* [x] ^$ ."]],
  ["(", ["(a|b)* [x] ^$ ."]],
  [".*", []],
  ["needle", [long]],
  ["NEEDLE 针", [long]],
  ["针", [long]],
  [long, [long]],
  [`${long}x`, []],
];

Deno.test("a search matches a substring of the name in any case", async (t) => {
  for (const task_name of names) await seedTask(sql, { task_name });
  for (const [pattern, found] of searches) {
    const shown = pattern.length > 40 ? `${pattern.length} characters` : JSON.stringify(pattern);
    await t.step(`${shown} finds ${found.length}`, async () => {
      const { tasks, total } = await list({ taskName: pattern });
      assert.deepEqual(tasks.map(({ task_name }) => task_name), found);
      assert.equal(total, found.length);
    });
  }
  await sql`delete from tasks`;
});

Deno.test("fold_name() folds the case of every letter as ECMAScript's regular expressions do", async () => {
  const letters: string[] = [];
  for (let code = 0x80; code < 0x20000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const letter = String.fromCodePoint(code);
    if (letter.toLowerCase() !== letter || letter.toUpperCase() !== letter) letters.push(letter);
  }
  const rows = await sql<{ letter: string; folded: string }[]>`
    select letter, fold_name(letter) as folded from unnest(${letters}::text[]) as l (letter)`;
  const folded = new Map(rows.map(({ letter, folded }) => [letter, folded]));
  const fold = (text: string) => /^[\0-\x7f]$/.test(text) ? text.toLowerCase() : folded.get(text) ?? text;
  const wrong: string[] = [];
  for (const letter of letters) {
    for (const other of [letter.toLowerCase(), letter.toUpperCase()]) {
      if ([...other].length !== 1) continue;
      const same = new RegExp(`^\\u{${letter.codePointAt(0)!.toString(16)}}$`, "iu").test(other);
      if (same !== (fold(letter) === fold(other))) wrong.push(`${letter} and ${other}`);
    }
  }
  assert.ok(letters.length > 2500);
  assert.deepEqual(wrong, []);
});

Deno.test("totals follow every kind of change, also bulk changes and rolled back transactions", async () => {
  const totals = async () => {
    const all = await list();
    const mine = await list({ username: "m@x" });
    const failed = await list({ statuses: ["failed"] });
    return [all.total, mine.total, failed.total];
  };
  const insert = (count: number, username: string, status: string) =>
    sql`
      insert into tasks (task_name, username, status, tags, variables, settings, completed_at)
      select 'many', ${username}, ${status}, '[]', '{}', '{}', case when ${status} = 'failed' then now() end
      from generate_series(1, ${count}::integer)`;
  assert.deepEqual(await totals(), [0, 0, 0]);
  await insert(700, "m@x", "pending");
  for (let n = 0; n < 70; n++) await insert(1, "o@x", "failed");
  assert.deepEqual(await totals(), [770, 700, 70]);
  await sql`update tasks set status = 'failed', completed_at = now() where username = 'm@x'`;
  assert.deepEqual(await totals(), [770, 700, 770]);
  await sql`update tasks set revision = revision + 1`;
  await sql`update tasks set is_deleted = true where username = 'o@x'`;
  assert.deepEqual(await totals(), [700, 700, 700]);
  await sql`update tasks set username = 'm@x' where username = 'o@x'`;
  await sql`delete from tasks where username = 'm@x' and is_deleted`;
  assert.deepEqual(await totals(), [700, 700, 700]);
  await assert.rejects(sql.begin(async (tx) => {
    await tx`delete from tasks`;
    throw new Error("rolled back");
  }));
  assert.deepEqual(await totals(), [700, 700, 700]);
  await sql`select recount_tasks()`;
  assert.deepEqual(await totals(), [700, 700, 700]);
  const [left] = await sql`select count(*)::int as changes from task_count_changes`;
  assert.equal(left!.changes, 0);
  await sql`truncate tasks cascade`;
  assert.deepEqual(await totals(), [0, 0, 0]);
});

Deno.test("totals are right under concurrent writes, which do not wait for each other's transactions", async () => {
  const add = (on: Pool | postgres.TransactionSql, username: string) =>
    on`insert into tasks (task_name, username, tags, variables, settings) values ('w', ${username}, '[]', '{}', '{}')`;
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const slow = sql.begin(async (tx) => {
    for (let n = 0; n < 200; n++) await add(tx, "slow");
    await released;
  });
  await Promise.all(Array.from({ length: 300 }, (_, n) => add(sql, `u${n % 3}`)));
  assert.equal((await list({ pageSize: 1 })).total, 300);
  release();
  await slow;
  assert.equal((await list({ pageSize: 1 })).total, 500);
  assert.equal((await list({ pageSize: 1, username: "slow" })).total, 200);
  await sql`truncate tasks cascade`;
});

/** Number of tasks for the plan tests. A million tasks give the same plans (`deno task bench http`). */
const planTasks = 60_000;

async function seedMany(): Promise<void> {
  await sql`
    insert into tasks (task_name, username, tags, variables, settings, status, created_at, completed_at, is_deleted)
    select
      (array['1girl', '樱花', '夕阳', 'best quality', '雨夜', 'cat ears', '水彩'])[1 + n % 7] || ' '
        || chr(19968 + (hashint4(n) & 8191)) || chr(19968 + (hashint4(n + 7) & 8191)) || ' ' || n,
      'tester' || n % 50 || '@example.com', '[]', '{}', '{}',
      (array['completed', 'failed', 'pending'])[1 + n % 3], timestamptz '2025-01-01' + n * interval '20 s',
      case when n % 3 < 2 then timestamptz '2025-01-01' end, n % 50 = 0
    from generate_series(1, ${planTasks}::integer) as n`;
  await sql`update tasks set status = 'processing', completed_at = null where task_name like '%12345'`;
  // With the default sample, statistics may miss the one rare status, and the plan would be chosen by chance.
  await sql`alter table tasks alter column status set statistics 1000`;
  await sql`vacuum analyze tasks`;
}

interface Plan {
  "Node Type": string;
  "Index Name"?: string;
  "Relation Name"?: string;
  "Actual Rows"?: number;
  "Rows Removed by Filter"?: number;
  Plans?: Plan[];
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

/** Returns the plan of the tenth execution of a list's statement, prepared as the driver prepares it. */
async function explainTenth(filter: Partial<TaskFilter>): Promise<{ nodes: Plan[]; ms: number }> {
  const sent: { text: string; parameters: unknown[]; types: number[] }[] = [];
  const spy = postgres(database.url, {
    max: 1,
    debug: (_connection, text, parameters, types) =>
      sent.push({ text, parameters, types: types as number[] }),
  });
  // The driver learns the array types with its first statement, and may send a list before it knows them.
  await spy`select 1`;
  await listTasks(spy, { page: 1, pageSize: 10, ...filter });
  const { text, parameters } = sent.at(-1)!;
  const values = parameters.map((value) => `'${String(value).replaceAll("'", "''")}'`).join(", ");
  const execute = `execute tenth${values === "" ? "" : `(${values})`}`;
  await spy.unsafe(`prepare tenth as ${text}`);
  for (let n = 0; n < 9; n++) await spy.unsafe(execute);
  const [row] = await spy.unsafe(`explain (analyze, format json) ${execute}`);
  await spy.end();
  const [{ Plan: plan, "Execution Time": ms }] = row!["QUERY PLAN"];
  return { nodes: nodesOf(plan), ms };
}

const plans: [name: string, filter: Partial<TaskFilter>, index: string][] = [
  ["no filter", {}, "tasks_newest_idx"],
  ["a late page", { page: 50 }, "tasks_newest_idx"],
  ["a page past the end", { page: 1_000_000 }, "tasks_newest_idx"],
  ["an owner", { username: "tester7@example.com" }, "tasks_username_newest_idx"],
  ["a frequent status", { statuses: ["completed"] }, ""],
  ["a rare status", { statuses: ["processing"] }, "tasks_status_newest_idx"],
  ["two statuses", { statuses: ["completed", "processing"] }, "tasks_status_newest_idx"],
  ["two Chinese characters", { taskName: "樱花" }, "tasks_name_grams_idx"],
  ["one Chinese character", { taskName: "阳" }, "tasks_name_grams_idx"],
  ["a name without a match", { taskName: "没有的名字" }, "tasks_name_grams_idx"],
  ["a rare name", { taskName: " 12345" }, "tasks_name_grams_idx"],
];

Deno.test("lists use their indexes at the tenth execution", async (t) => {
  await seedMany();
  for (const [name, filter, index] of plans) {
    await t.step(`${name}: ${index || "any index"}, and no scan of all tasks`, async () => {
      const { nodes, ms } = await explainTenth(filter);
      const scans = nodes.filter((node) =>
        node["Relation Name"] === "tasks" && node["Node Type"] === "Seq Scan"
      );
      assert.deepEqual(scans, []);
      const used = nodes.map((node) => node["Index Name"]).filter((used) => used !== undefined);
      assert.ok(index === "" || used.includes(index), `used ${used}`);
      const rows = nodes.filter((node) => node["Index Name"]?.startsWith("tasks_"))
        .map((node) => (node["Actual Rows"] ?? 0) + (node["Rows Removed by Filter"] ?? 0));
      assert.ok(Math.max(...rows) < planTasks / 5, `read ${rows} rows`);
      // A good plan takes milliseconds and a bad one minutes. The number of rows is the decisive measure.
      assert.ok(ms < 5000, `${ms} ms`);
    });
  }
  await t.step("totals are equal to a count", async () => {
    const [row] = await sql`
      select count(*)::int as alive, count(*) filter (where status = 'failed')::int as failed,
        count(*) filter (where task_name like '%樱花%')::int as found
      from tasks where not is_deleted`;
    const totals = [await list(), await list({ statuses: ["failed"] }), await list({ taskName: "樱花" })];
    assert.deepEqual(totals.map(({ total }) => total), [row!.alive, row!.failed, row!.found]);
  });
});
