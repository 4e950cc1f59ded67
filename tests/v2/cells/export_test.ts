/** Exports: every cell with its visible feedback, in formats that hostile text cannot break. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { connect, type Pool } from "../../../db/pg/connect.ts";
import { findExportHead } from "../../../db/views/export.ts";
import { writeExport } from "../../../routes/v2/cells/export.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { waitFor } from "../../support/wait.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";
import { parseCsv, withoutGuard } from "../support/export_files.ts";

async function setUp() {
  const api = await startApi();
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  return { api, ...people, task, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

async function download(api: TestApi, who: V2Person | string, task: string, query: string) {
  const answer = await call(api, who, "GET", `/tasks/${task}/export?${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

// deno-lint-ignore no-explicit-any -- each test checks the fields that it uses
async function readLines(api: TestApi, who: V2Person | string, task: string): Promise<any[]> {
  const { text } = await download(api, who, task, "format=ndjson");
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

async function rate(api: TestApi, who: V2Person, task: string, cell: number, stars: number) {
  const { status, text } = await call(api, who, "PUT", `/tasks/${task}/cells/${cell}/rating`, { stars });
  assert.equal(status, 200, text);
}

/** Hostile texts for every exported field. */
const hostile = [
  `=HYPERLINK("http://evil","x")`,
  "+1",
  "-1+1",
  "@SUM(A1)",
  "\t=1",
  "\r=1",
  `a "quoted", text\r\nwith lines`,
  "</script><script>alert(1)</script>",
  "<!--<script>",
  "\u2028\u2029",
  `" onerror="alert(1)`,
  "夕阳 🐱",
];

async function addHostileTexts({ api, user, task }: Awaited<ReturnType<typeof setUp>>) {
  const { sql } = api.database;
  const variables = {
    v0: { name: "=prompt<b>", values: hostile.slice(0, 3).map((value) => ({ value })) },
    v1: { name: "ratio", values: [{ value: hostile[7] }, { value: "2:1" }] },
  };
  await sql`
    update tasks set task_name = ${"</title><script>alert(1)</script>"}, variables = ${
    JSON.stringify(variables)
  }::text::json
    where id = ${task}`;
  for (let cell = 0; cell < 6; cell++) {
    const texts = hostile.slice(2 * cell, 2 * cell + 2);
    const prompts = JSON.stringify([{ type: "freetext", value: texts[0] }]);
    await sql`
      update subtasks
      set evaluate = ${texts}, error = ${texts[1]!}, prompts = ${prompts}::text::json, ratio = ${texts[0]!},
        image_url = case when cell = 0 then 'javascript:alert(1)' else image_url end
      where parent_task_id = ${task} and cell = ${cell}`;
    await sql`
      insert into cell_tags (task_id, subtask_id, tag, author_id)
      select parent_task_id, id, ${texts[
      0
    ]!}, ${user.id} from subtasks where parent_task_id = ${task} and cell = ${cell}`;
  }
}

Deno.test("csv has a header, a row per cell in order, named axes, means and counts of stars", async () => {
  await using fixture = await setUp();
  const { api, user, other, task } = fixture;
  await rate(api, user, task, 3, 5);
  await rate(api, other, task, 3, 4);
  await api.database
    .sql`update subtasks set seed = -9007199254740993 where parent_task_id = ${task} and cell = 3`;
  const { text, headers } = await download(api, user, task, "format=csv");
  assert.match(headers.get("content-type")!, /^text\/csv/);
  assert.match(headers.get("content-disposition")!, /^attachment; filename="a matrix\.csv"/);
  const [head, ...rows] = parseCsv(text);
  assert.deepEqual(head, [
    ...["cell", "v0 prompt", "v1 ratio", "status", "version", "image", "seed", "ratio", "prompts", "error"],
    ...["mean", "n", "stars_1", "stars_2", "stars_3", "stars_4", "stars_5", "evaluations", "tags"],
    ...[
      "evaluation_authors",
      "evaluation_tags",
      "tag_authors",
      "raters",
      "ratings",
      "skip_reasons",
      "ratings_blind",
    ],
    ...["ratings_took_ms", "votes", "earlier_images", "favourite"],
  ]);
  assert.deepEqual(rows.map(([cell]) => cell), ["0", "1", "2", "3", "4", "5"]);
  assert.deepEqual(rows[3]!.slice(0, 19), [
    ...["3", "prompt 1", "2:1", "completed", "1", "https://images.example/3.png", "-9007199254740993", "2:1"],
    ...[rows[3]![8]!, null, "4.5", "2", "0", "0", "0", "1", "1", null, null],
  ]);
});

Deno.test("csv starts with a byte order mark unless bom=false; the other formats never do", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const startOf = async (query: string) => {
    const answer = await fetch(`${api.origin}/api/v2/tasks/${task}/export${query}`, {
      headers: { authorization: `Bearer ${user.access}` },
    });
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await answer.arrayBuffer()).slice(0, 5);
  };
  for (const query of ["", "?format=csv", "?bom=true"]) {
    assert.equal(await startOf(query), "\ufeffcell", query);
  }
  assert.equal(await startOf("?bom=false"), "cell,");
  assert.equal(await startOf("?format=ndjson&bom=true"), '{"cel');
  assert.equal(await startOf("?format=html&bom=true"), "<!doc");
});

Deno.test("csv contains no formulas, and every text is complete", async () => {
  await using fixture = await setUp();
  await addHostileTexts(fixture);
  const [head, ...rows] = parseCsv(
    (await download(fixture.api, fixture.user, fixture.task, "format=csv")).text,
  );
  for (const row of [head!, ...rows]) {
    for (const field of row) assert.doesNotMatch(field ?? "", /^\s*[=+\-@]|^[\t\r\n]/);
  }
  const texts = (column: number) => rows.map((row) => withoutGuard(row[column]!));
  assert.deepEqual(texts(9), hostile.filter((_, i) => i % 2 === 1));
  assert.deepEqual(
    texts(18).map((list) => JSON.parse(list)),
    hostile.filter((_, i) => i % 2 === 0).map((tag) => [tag]),
  );
  assert.deepEqual(
    texts(17).map((list) => JSON.parse(list)),
    [0, 1, 2, 3, 4, 5].map((cell) => hostile.slice(2 * cell, 2 * cell + 2)),
  );
});

Deno.test("ndjson has a line per cell with exact seeds and arrays", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  await addHostileTexts(fixture);
  await rate(api, user, task, 1, 2);
  await api.database
    .sql`update subtasks set seed = 9007199254740993 where parent_task_id = ${task} and cell = 1`;
  const { text, headers } = await download(api, user, task, "format=ndjson");
  assert.equal(headers.get("content-type"), "application/x-ndjson");
  const line = text.split("\n")[1]!;
  assert.ok(line.includes('"seed":9007199254740993,'));
  const row = JSON.parse(line);
  assert.deepEqual(row.axes, [
    { axis: "v0", name: "=prompt<b>", value: hostile[0] },
    { axis: "v1", name: "ratio", value: "2:1" },
  ]);
  assert.deepEqual([row.mean, row.n, row.distribution], [2, 1, [0, 1, 0, 0, 0]]);
  assert.deepEqual([row.evaluations, row.evaluation_authors], [hostile.slice(2, 4), [null, null]]);
  assert.deepEqual([row.tags, row.prompts], [[hostile[2]], [hostile[2]]]);
});

Deno.test("html is one page whose policy permits only its own script and style, with inert data", async () => {
  await using fixture = await setUp();
  await addHostileTexts(fixture);
  const { text, headers } = await download(fixture.api, fixture.user, fixture.task, "format=html");
  assert.match(
    headers.get("content-disposition")!,
    /^attachment; filename="title script alert\(1\) script|^attachment/,
  );
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(text)![1]!;
  assert.match(policy, /^default-src 'none'; img-src https: http:; script-src 'sha256-/);
  assert.doesNotMatch(policy, /unsafe/);
  const scripts = [...text.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
  assert.equal(text.match(/<script/gi)!.length, scripts.length, "no script starts within another");
  const running = scripts.filter(([, attributes]) => attributes === "");
  assert.equal(running.length, 1);
  const hash = (part: string) => `'sha256-${createHash("sha256").update(part).digest("base64")}'`;
  assert.ok(policy.includes(`script-src ${hash(running[0]![2]!)};`));
  const [, style] = /<style>([\s\S]*?)<\/style>/.exec(text)!;
  assert.ok(policy.includes(`style-src ${hash(style!)};`));
  assert.ok(text.includes("<title>&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;</title>"));
  const bare = text.replace(/<(script|style)([^>]*)>[\s\S]*?<\/\1>/g, "<$1$2>");
  assert.doesNotMatch(bare, /alert\(1\)<|\son\w+=|<(?:link|iframe|object|embed|base)\b|src="http/i);
  const data = scripts.filter(([, attributes]) => /type="application\/json"/.test(attributes!));
  const [head, ...parts] = data.map(([, , json]) => JSON.parse(json!));
  assert.deepEqual(head.axes.map(({ axis }: { axis: string }) => axis), ["v0", "v1"]);
  const rows = parts.flat();
  assert.deepEqual(rows.map(([cell, places]) => [cell, ...places]), [
    [0, 0, 0],
    [1, 0, 1],
    [2, 1, 0],
    [3, 1, 1],
    [4, 2, 0],
    [5, 2, 1],
  ]);
  assert.deepEqual(rows.flatMap((row) => row[11]), hostile);
  for (const [, , json] of data) assert.doesNotMatch(json!, /[<>\u2028\u2029]/);
});

Deno.test("while others' ratings are hidden, an export contains one's own feedback and that of rated images", async () => {
  await using fixture = await setUp();
  const { api, user, other, manager, task } = fixture;
  const { sql } = api.database;
  await sql`update tasks set blind = true where id = ${task}`;
  for (const cell of [0, 1]) await rate(api, manager, task, cell, 5);
  await rate(api, other, task, 1, 2);
  for (const cell of [0, 1, 2]) {
    await sql`
      insert into evaluations (task_id, subtask_id, version, author_id, text)
      select parent_task_id, id, 1, ${cell === 2 ? other.id : manager.id}, 'said of ' || cell
      from subtasks where parent_task_id = ${task} and cell = ${cell}`;
    await sql`
      insert into cell_tags (task_id, subtask_id, tag, author_id)
      select parent_task_id, id, 'tag', ${manager.id} from subtasks where parent_task_id = ${task} and cell = ${cell}`;
    await sql`update subtasks set evaluate = ${[
      "said of " + cell,
    ]} where parent_task_id = ${task} and cell = ${cell}`;
  }
  const readFeedback = async (who: V2Person | string) =>
    (await readLines(api, who, task)).slice(0, 3).map(({ mean, n, distribution, evaluations, tags }) => [
      ...[mean, n, distribution?.join("") ?? null, evaluations.join(), tags.join()],
    ]);
  const shown = [[5, 1, "00001", "said of 0", "tag"], [3.5, 2, "01001", "said of 1", "tag"], [
    null,
    0,
    null,
    "said of 2",
    "tag",
  ]];
  assert.deepEqual(await readFeedback(user), shown);
  assert.deepEqual(await readFeedback(other), [[null, null, null, "", ""], shown[1], [
    null,
    null,
    null,
    "said of 2",
    "",
  ]]);
  const share = await call(api, user, "POST", `/tasks/${task}/shares`, { mode: "read" });
  assert.deepEqual(await readFeedback(share.body.token), Array(3).fill([null, null, null, "", ""]));
  for (const format of ["csv", "html"]) {
    const { text } = await download(api, share.body.token, task, `format=${format}`);
    assert.doesNotMatch(text, /said of/);
  }
});

Deno.test("an export contains the known indices for axes with repeats, plain values, extensions or no values", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const { sql } = api.database;
  const axesOf = async () =>
    (await readLines(api, user, task)).map(({ axes }) =>
      axes.map(({ value }: { value: string }) => value).join()
    );
  assert.deepEqual(await axesOf(), [
    "prompt 0,1:1",
    "prompt 0,2:1",
    "prompt 1,1:1",
    "prompt 1,2:1",
    "prompt 2,1:1",
    "prompt 2,2:1",
  ]);
  await sql`update tasks set variables = ${'{"v2":{"name":"p","values":[{"value":"a"},{"value":1.0},{"name":"n","value":"0dec587d-3127-4f22-957d-92308852f10f"}]}}'}::text::json where id = ${task}`;
  assert.deepEqual(await axesOf(), ["a,1", "a,2", "1.0,1", "1.0,2", "n,1", "n,2"]);
  await sql`update tasks set grown = '[]' where id = ${task}`;
  assert.deepEqual(await axesOf(), Array(6).fill(""));
  await sql`update tasks set variables = '[]', grown = null where id = ${task}`;
  assert.deepEqual(await axesOf(), ["1", "2", "3", "4", "5", "6"]);
  await sql`update subtasks set prompts = '{"odd":1}', result = null where parent_task_id = ${task}`;
  assert.deepEqual((await readLines(api, user, task))[0].prompts, []);
});

Deno.test("when the client disconnects, the export stops reading and frees its slot", async () => {
  await using fixture = await setUp();
  const { api, user } = fixture;
  const large = await addMatrix(api, user, { prompts: 50, ratios: 100 });
  let queries = 0;
  const pool = connect(api.database.url, { max: 1 });
  const counted = new Proxy(pool, {
    apply(target, self, args) {
      if (String(args[0]?.raw ?? "").includes("order by s.cell")) queries++;
      return Reflect.apply(target, self, args);
    },
  }) as Pool;
  const head = await findExportHead(pool, large);
  const viewer = { id: user.id, hidesOthers: false, seesVotes: true };
  for await (
    const _ of writeExport(counted, {
      taskId: large,
      format: "ndjson",
      bom: false,
      viewer,
      seesNames: true,
      head: head!,
    })
  ) break;
  assert.ok(queries <= 2, "the batch that was read, and the next one");
  await pool.end();
  const open = () =>
    fetch(`${api.origin}/api/v2/tasks/${large}/export`, {
      headers: { authorization: `Bearer ${user.access}` },
    });
  for (let round = 0; round < 3; round++) {
    const running = await Promise.all([open(), open(), open()]);
    assert.deepEqual(running.map(({ status }) => status), [200, 200, 200]);
    for (const answer of running) await answer.body!.cancel();
    await waitFor("a free slot", async () => {
      const answer = await open();
      await answer.body!.cancel();
      if (answer.status === 200) return true;
      assert.equal(answer.status, 429);
      assert.equal(answer.headers.get("retry-after"), "2");
    });
    await call(api, user, "GET", `/tasks/${large}/export`);
  }
});

Deno.test("an export requires a known format, authentication and an existing task", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  for (const query of ["format=xlsx", "format=", "format=CSV", "bom=1"]) {
    assert.equal((await call(api, user, "GET", `/tasks/${task}/export?${query}`)).status, 422, query);
  }
  assert.equal((await call(api, undefined, "GET", `/tasks/${task}/export`)).status, 401);
  assert.equal((await call(api, user, "GET", `/tasks/${crypto.randomUUID()}/export`)).status, 404);
});

Deno.test("the name of an export's file is safe for any file system", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  const names: [string, RegExp][] = [
    ['a"b\r\nX-Evil: 1/../c', /^attachment; filename="a b X-Evil 1 \.\. c\.csv"; filename\*=UTF-8''a%20b/],
    ["夕阳", /^attachment; filename="task\.csv"; filename\*=UTF-8''%E5%A4%95%E9%98%B3\.csv$/],
    ["", /^attachment; filename="task\.csv"; filename\*=UTF-8''task\.csv$/],
    ["🐱".repeat(200), /^attachment; filename="task\.csv"; filename\*=/],
  ];
  for (const [name, wanted] of names) {
    await api.database.sql`update tasks set task_name = ${name} where id = ${task}`;
    assert.match((await download(api, user, task, "")).headers.get("content-disposition")!, wanted);
  }
});
