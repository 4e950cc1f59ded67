/** The shadow of the front: what it compares, how it names causes, and that it never touches an answer. */
import assert from "node:assert/strict";
import { listShadowDifferences } from "../../db/traffic/differences.ts";
import { playOldBackend } from "../shadow/support/old_backend.ts";
import { createAnswer } from "../shadow/support/altered.ts";
import { readOutcomes } from "./support/shadow.ts";
import { waitFor } from "../support/wait.ts";
import { askAt, countAnswers, findTask, setPosition, startShadow } from "./support/shadow.ts";

const lists = ["/api/v1/tasks?page_size=5", "/api/v1/users/?limit=5", "/api/v1/users/me", "/health"];

Deno.test("equal answers are counted, and nothing else is stored", async () => {
  await using rig = await startShadow({});
  const id = await findTask(rig.sql);
  const targets = [...lists, `/api/v1/tasks/${id}`, `/api/v1/tasks/${id}/matrix`, "/api/v1/tasks/none"];
  for (const target of targets) await rig.get(target);
  await rig.get("/api/v1/users/me", {});
  await rig.get("/api/v1/tasks", { authorization: "Bearer forged.token.here" });
  const outcomes = await rig.settle(targets.length + 2);
  assert.deepEqual(await rig.list(), []);
  assert.deepEqual([...outcomes], [["equal", targets.length + 2]]);
  assert.deepEqual(await countAnswers(rig.sql), [targets.length + 2, targets.length + 2]);
});

Deno.test("the client gets every byte at once, whatever happens to the comparison", async () => {
  const never = Promise.withResolvers<Response>();
  await using rig = await startShadow({}, { askNew: () => never.promise });
  const direct = await (await askAt(rig.api.origin)(
    new Request("http://x/api/v1/tasks?page_size=5", {
      headers: { authorization: `Bearer ${rig.token}` },
    }),
  )).text();
  assert.equal(await rig.get("/api/v1/tasks?page_size=5"), direct);
  never.reject(new Error("this system fails"));
  assert.deepEqual([...await rig.settle(1)], [["dropped", 1]]);
  assert.deepEqual(await countAnswers(rig.sql), [0, 0]);
});

Deno.test("known differences are intended, by their rules", async () => {
  const ways = { token: "", hiddenTasks: new Set<string>() };
  await using rig = await startShadow({
    before: (request) => playOldBackend(ways).before!(request),
    after: (request, answer) => playOldBackend(ways).after!(request, answer),
  });
  ways.token = rig.token;
  const [hidden] = await rig.sql<{ id: string }[]>`
    update tasks set generation = 'T2'
    where id = (select id from tasks where not is_deleted order by created_at desc limit 1)
    returning id`;
  ways.hiddenTasks.add(hidden!.id);
  const targets = [
    "/api/v1/tasks?page_size=5",
    `/api/v1/tasks/${hidden!.id}`,
    "/api/v1/users/nobody",
    "/api/v1/users/me/",
    "/api/v1/tasks/?page_size=2",
    "/api/v1/users/?skip=-1",
    "/api/v1/tasks?task_name=(",
  ];
  for (const target of targets) await rig.get(target);
  await rig.get(`/api/v1/tasks/${await findTask(rig.sql)}`, {});
  await rig.get("/api/v1/tasks", { authorization: "Bearer forged.token.here" });
  await rig.settle(targets.length + 2);
  const rules = (await rig.list()).map((line) => line.split(" ")[0]);
  assert.deepEqual([...new Set(rules)], ["intended"], (await rig.list()).join("\n"));
  const names = (await listShadowDifferences(rig.sql, 100)).map(({ rule }) => rule);
  assert.deepEqual([...new Set(names)].toSorted(), [
    "detail and matrix require a token",
    "first-generation tasks are visible",
    "invalid token on the task list",
    "malformed user id",
    "no redirect for a trailing slash",
    "numbers that the old backend failed on",
    "task_name is plain text",
  ]);
});

Deno.test("a difference that stays while the rows are equal is one of the code, stored once with a sample", async () => {
  const prompt = "a long prompt ".repeat(100);
  await using rig = await startShadow({
    after: ({ path }, answer) => {
      if (path !== "/api/v1/tasks") return;
      answer.text = answer.text.replaceAll('"priority":1', `"priority":1,"note":${JSON.stringify(prompt)}`);
    },
  });
  for (let i = 0; i < 3; i++) await rig.get("/api/v1/tasks?page_size=5&task_name=");
  assert.deepEqual([...await rig.settle(3)], [["different", 3]]);
  const [row, ...more] = await listShadowDifferences(rig.sql, 10);
  assert.deepEqual(more, []);
  const { route, path, cause, rule, answers, sample_target, sample_old, sample_new } = row!;
  assert.deepEqual([route, path, cause, rule, answers], [
    "GET /api/v1/tasks",
    "/data/tasks/*/note",
    "code",
    "",
    3,
  ]);
  assert.equal(sample_target, "/api/v1/tasks?page_size=5&task_name=");
  assert.ok(sample_old!.length < 200 && sample_old!.startsWith('"a long prompt'));
  assert.equal(sample_new, "(absent)");
  assert.deepEqual(await countAnswers(rig.sql), [3, 0]);
});

Deno.test("a token of a request is never stored, nor one in an answer or in a query", async () => {
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace('{"', `{"leak":"${rig.token}","`);
    },
  });
  await rig.get(`/api/v1/users/me?token=${rig.token}`);
  await rig.settle(1);
  const stored = JSON.stringify(await rig.sql`select * from migration.shadow_differences`);
  assert.match(stored, /"\/leak"/);
  assert.ok(!stored.includes(rig.token) && stored.includes("<jwt>"));
});

Deno.test("values and ids that PostgreSQL cannot hold are stored in another form", async () => {
  const odd = `${"x".repeat(118)}\u{1f431}${"y".repeat(100)}`;
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace(
        '{"',
        `{"odd":${JSON.stringify(odd)},"nul":"a\\u0000b","half":"\\ud83d","`,
      );
    },
  });
  const targets = ["/health", "/api/v1/tasks/a%00b", "/api/v1/tasks/%ff", "/api/v1/tasks/'"];
  for (const target of targets) await rig.get(target);
  assert.deepEqual([...await rig.settle(4)], [["different", 4]]);
  const rows = await listShadowDifferences(rig.sql, 20);
  const health = rows.filter(({ route }) => route === "GET /health").map(({ path }) => path).toSorted();
  assert.deepEqual(health, ["/half", "/nul", "/odd"]);
});

Deno.test("a value that the old backend gives anew each time is noise", async () => {
  let count = 0;
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace(/"fullname":[^,]+/, `"fullname":"${++count}"`);
    },
  });
  await rig.get("/api/v1/users/me");
  await rig.settle(1);
  const rule = "the old backend answers differently each time";
  assert.deepEqual(await rig.list(), [`noise GET /api/v1/users/me /data/fullname ${rule}`]);
});

Deno.test("a failure that is gone when both are asked again is noise of the old backend, or one of the code", async () => {
  const failures = { old: 1, new: 0 };
  await using rig = await startShadow({
    after: (_, answer) => {
      if (failures.old-- > 0) Object.assign(answer, createAnswer(500, "broken"));
    },
  }, {
    askNew: (request) =>
      failures.new-- > 0
        ? Promise.resolve(new Response("broken", { status: 500 }))
        : askAt(rig.api.origin)(request),
  });
  await rig.get("/health");
  await rig.settle(1);
  assert.deepEqual(await rig.list(), ["noise GET /health (status) failed once"]);
  failures.new = 1;
  await rig.get("/health");
  await rig.settle(2);
  assert.deepEqual((await rig.list())[0], "code GET /health (status) failed once");
});

Deno.test("a difference beside a changing value is found as one of the code", async () => {
  let count = 0;
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace(/"fullname":[^,]+/, `"fullname":"${++count}"`)
        .replace('"is_active":true', '"is_active":1');
    },
  });
  await rig.get("/api/v1/users/me");
  await rig.settle(1);
  assert.deepEqual((await rig.list()).map((line) => line.split(" ").slice(0, 4).join(" ")), [
    "code GET /api/v1/users/me /data/is_active",
    "noise GET /api/v1/users/me /data/fullname",
  ]);
});

Deno.test("a missing document that is applied in the meantime is lag", async () => {
  let isOld = true;
  await using rig = await startShadow({
    after: (_, answer) => {
      if (isOld) answer.text = answer.text.replace('"priority":1', '"priority":3');
    },
  }, { waits: { positionMs: 20_000, lookMs: 20, looksMax: 3 } });
  const now = Date.now();
  await setPosition(rig.sql, now - 60_000);
  await rig.get("/api/v1/tasks?page_size=5");
  await waitFor("the second question", () => rig.old.requests.length === 2);
  const id = JSON.parse(await rig.get("/api/v1/tasks?page_size=1")).data.tasks[0].id;
  await rig.sql`update tasks set priority = 3 where id = ${id}`;
  isOld = false;
  await setPosition(rig.sql, Date.now() + 10_000);
  await rig.settle(2);
  assert.deepEqual(await rig.list(), [
    "lag GET /api/v1/tasks /data/tasks/*/priority equal when both were asked again",
  ]);
});

Deno.test("a difference is lag while the position does not pass the answer", async () => {
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace('"priority":1', '"priority":3');
    },
  });
  await setPosition(rig.sql, Date.now() - 60_000);
  await rig.get("/api/v1/tasks?page_size=5");
  await rig.settle(1);
  assert.deepEqual(await rig.list(), [
    "lag GET /api/v1/tasks /data/tasks/*/priority the changes up to the answer were not applied in time",
  ]);
});

Deno.test("without a sync, an object that has changed after the last position is lag, and an older one is not", async () => {
  let updatedAt = new Date(Date.now() - 1_000).toISOString().replace("Z", "000");
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace(/"updated_at":"[^"]*"/, `"updated_at":"${updatedAt}"`)
        .replace('"priority":1', '"priority":3');
    },
  });
  await setPosition(rig.sql, Date.now() - 60_000, "gap");
  await rig.sql`update migration.follows set applied_at = now() - interval '1 hour'`;
  await rig.get(`/api/v1/tasks?page_size=1`);
  await rig.settle(1);
  const later = "the object has changed after the applied position";
  assert.deepEqual(await rig.list(), [
    `lag GET /api/v1/tasks /data/tasks/*/priority ${later}`,
    `lag GET /api/v1/tasks /data/tasks/*/updated_at ${later}`,
  ]);
  await rig.sql`delete from migration.shadow_differences`;
  updatedAt = "2020-01-01T00:00:00.000000";
  await rig.get(`/api/v1/tasks?page_size=1`);
  await rig.settle(2);
  assert.deepEqual((await rig.list()).map((line) => line.split(" ")[0]), ["code", "code"]);
});

Deno.test("a difference of a document that waits, is in quarantine or differs by verification is one of the data", async (t) => {
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace('"priority":1', '"priority":3');
    },
  });
  const id = await findTask(rig.sql);
  const [{ legacy_id: legacyId }] = await rig.sql`select legacy_id from tasks where id = ${id}` as [
    { legacy_id: string },
  ];
  await setPosition(rig.sql, Date.now() + 3_600_000);
  let answers = 0;
  const read = async () => {
    await rig.sql`delete from migration.shadow_differences`;
    await rig.get(`/api/v1/tasks/${id}`);
    await rig.settle(++answers);
    return await rig.list();
  };
  const original = new TextEncoder().encode(`\x10\x00{"id": "${id}"}\x00`);
  const route = "GET /api/v1/tasks/{id} /data/priority";
  await t.step("nothing is known", async () => assert.deepEqual(await read(), [`code ${route}`]));
  await t.step("waiting", async () => {
    await rig.sql`
      insert into migration.waiting (collection, document_id, reason, path, detail, awaited, original)
      values ('tasks', 'x', 'duplicate_id', 'id', '', '', ${original})`;
    assert.deepEqual(await read(), [`data ${route} a document waits for its row: duplicate_id`]);
    await rig.sql`delete from migration.waiting`;
  });
  await t.step("in quarantine", async () => {
    await rig.sql`
      insert into migration.quarantine
        (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
      select fingerprint, 'tasks', 1, 1, 'x', 'bad_value', 'id', '', ${original} from migration.sources limit 1`;
    assert.deepEqual(await read(), [`data ${route} a document is in quarantine: bad_value`]);
    await rig.sql`delete from migration.quarantine`;
  });
  await t.step("different", async () => {
    await rig.sql`
      insert into migration.live_verifications (fingerprint) select fingerprint from migration.sources limit 1`;
    await rig.sql`
      insert into migration.rechecks
        (verification_id, collection, document_id, document_key, version, differences, seen_position, comparisons)
      select max(id), 'tasks', ${`{"$oid":"${legacyId}"}`}, '', '', '[]', 1, 3 from migration.live_verifications`;
    assert.deepEqual(await read(), [`data ${route} a row differs in the last verification`]);
  });
  await t.step("different before, and not in the last verification", async () => {
    await rig.sql`
      insert into migration.live_verifications (fingerprint) select fingerprint from migration.sources limit 1`;
    assert.deepEqual(await read(), [`code ${route}`]);
  });
});

Deno.test("a list that lacks an item is one of the data if a document of the collection is in quarantine", async () => {
  await using rig = await startShadow({
    after: ({ path }, answer) => {
      if (path !== "/api/v1/tasks" || answer.status !== 200) return;
      const json = JSON.parse(answer.text);
      json.data.total++;
      answer.text = JSON.stringify(json);
    },
  });
  await rig.get("/api/v1/tasks?page_size=0");
  await rig.settle(1);
  await rig.sql`
    insert into migration.quarantine
      (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
    select fingerprint, 'tasks', 1, 1, 'x', 'bad_value', 'id', '', '' from migration.sources limit 1`;
  await rig.get("/api/v1/tasks?page_size=2");
  await rig.settle(2);
  const totals = (await rig.list()).filter((line) => line.includes("/data/total"));
  assert.deepEqual(totals, ["data GET /api/v1/tasks /data/total a document is in quarantine: bad_value"]);
});

Deno.test("what does not fit is dropped and counted", async (t) => {
  const open = Promise.withResolvers<void>();
  let size = 0;
  await using rig = await startShadow({
    before: ({ path }) =>
      path === "/api/v1/users/me" && size > 0 ? createAnswer(200, `{"x":"${"y".repeat(size)}"}`) : undefined,
  }, {
    askNew: async (request) => {
      await open.promise;
      return await askAt(rig.api.origin)(request);
    },
  });
  await t.step("an answer over 1 MiB, and what does not come from v1's routes", async () => {
    size = 1024 * 1024;
    assert.equal((await rig.get("/api/v1/users/me")).length, size + 8);
    size = 0;
    for (const target of ["/api/v1/nothing", "/favicon.ico"]) await rig.get(target);
    assert.deepEqual([...await rig.settle(1)], [["dropped", 1]]);
  });
  await t.step("more answers than the backlog holds", async () => {
    for (let i = 0; i < 150; i++) await rig.get("/health");
    assert.equal((await readOutcomes(rig.metrics)).get("dropped"), 1 + 150 - 102);
    open.resolve();
    assert.equal((await rig.settle(151)).get("equal"), 102);
  });
});

Deno.test("packed answers are unpacked; an unknown packing is dropped", async () => {
  await using rig = await startShadow({});
  const request = new Request("http://front.example/api/v1/users/me", {
    headers: { authorization: `Bearer ${rig.token}`, "accept-encoding": "gzip, br" },
  });
  const answer = await askAt(rig.old.origin)(request);
  const bytes = await answer.bytes();
  const packed = await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip")))
    .bytes();
  const ask = askAt(rig.api.origin);
  for (const [coding, body] of [["gzip", packed], ["br", packed], ["gzip", bytes]] as const) {
    const headers = new Headers(answer.headers);
    headers.set("content-encoding", coding);
    rig.shadow.enqueue(request, { status: 200, headers, body, at: Date.now() }, ask);
  }
  assert.deepEqual([...await rig.settle(3)].toSorted(), [["dropped", 2], ["equal", 1]]);
});

Deno.test("only the share is taken, and neither writes nor paths that a client would change", async () => {
  let taken = 0;
  await using rig = await startShadow({}, { percent: 10, random: () => (taken++ % 10) / 10 });
  for (let i = 0; i < 20; i++) await rig.get("/health");
  const ask = askAt(rig.api.origin);
  const post = new Request("http://front.example/api/v1/tasks", { method: "POST", body: "{}" });
  const response = new Response("x");
  assert.equal(rig.shadow.observe(post, response, ask), response);
  assert.deepEqual([...await rig.settle(2)], [["equal", 2]]);
});

Deno.test("an old backend that is away when it is asked again leaves nothing behind", async () => {
  let isAway = false;
  await using rig = await startShadow({
    after: (_, answer) => {
      answer.text = answer.text.replace('{"', '{"odd":1,"');
    },
  }, {
    askOld: (request) => isAway ? Promise.reject(new Error("away")) : askAt(rig.old.origin)(request),
  });
  isAway = true;
  await rig.get("/health");
  assert.deepEqual([...await rig.settle(1)], [["dropped", 1]]);
  assert.deepEqual(await rig.list(), []);
});
