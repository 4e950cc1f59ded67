/** Evaluations: authorship, visibility, and the copy in the cell. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../../support/api.ts";
import { addMatrix, addPeople, type Answer, call } from "../support/api.ts";
import { addShare, redraw, rerun } from "../support/images.ts";

const pathOf = (task: string, cell: number | string = 0) => `/tasks/${task}/cells/${cell}/evaluations`;
const textsOf = ({ body }: Answer) => body.items.map(({ text }: { text: string }) => text);

async function readCellTexts(
  { database: { sql } }: TestApi,
  task: string,
  cell = 0,
): Promise<string[] | null> {
  const [row] = await sql`select evaluate from subtasks where parent_task_id = ${task} and cell = ${cell}`;
  return row!.evaluate;
}

async function readAllPages(api: TestApi, who: Parameters<typeof call>[1], path: string): Promise<string[]> {
  const texts: string[] = [];
  for (let cursor = ""; cursor !== "end";) {
    const page = await call(api, who, "GET", `${path}?limit=2${cursor}`);
    assert.equal(page.status, 200, page.text);
    texts.push(...textsOf(page));
    cursor = page.body.next === null ? "end" : `&cursor=${page.body.next}`;
  }
  return texts;
}

Deno.test("an image has several evaluations with author and tags, and the cell lists them in order", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user);
  const first = await call(api, other, "POST", pathOf(task), {
    text: "hands are fine",
    tags: ["hands", "ok", "hands"],
  });
  assert.equal(first.status, 201, first.text);
  const { id, created_at, ...rest } = first.body;
  assert.deepEqual(rest, {
    cell: 0,
    version: 1,
    author_id: other.id,
    author: "other@example.com",
    text: "hands are fine",
    tags: ["hands", "ok"],
    edited_at: null,
  });
  assert.ok(Math.abs(Date.parse(created_at) - Date.now()) < 3_600_000);
  assert.equal(first.headers.get("location"), `/api/v2/tasks/${task}/evaluations/${id}`);
  for (const [who, text] of [[user, "b"], [user, "c"], [other, "d"]] as const) {
    assert.equal((await call(api, who, "POST", pathOf(task), { text })).status, 201);
  }
  const all = ["hands are fine", "b", "c", "d"];
  assert.deepEqual(await readCellTexts(api, task), all);
  assert.deepEqual(await readAllPages(api, user, pathOf(task)), all);
  await call(api, user, "POST", pathOf(task, 1), { text: "of another cell" });
  assert.deepEqual(await readAllPages(api, user, `/tasks/${task}/evaluations`), [
    "of another cell",
    ...all.toReversed(),
  ]);
  const one = `/tasks/${task}/evaluations/${id}`;
  assert.deepEqual((await call(api, user, "GET", one)).body, first.body);
  const changed = await call(api, other, "PATCH", one, { text: "hands are not fine" });
  assert.equal(changed.status, 200, changed.text);
  assert.notEqual(changed.body.edited_at, null);
  assert.deepEqual({ ...changed.body, edited_at: null }, { ...first.body, text: "hands are not fine" });
  assert.deepEqual((await call(api, other, "PATCH", one, { tags: [] })).body.tags, []);
  assert.deepEqual(await readCellTexts(api, task), ["hands are not fine", "b", "c", "d"]);
  assert.equal((await call(api, other, "DELETE", one)).status, 204);
  assert.equal((await call(api, other, "DELETE", one)).status, 404);
  assert.equal((await call(api, other, "GET", one)).status, 404);
  assert.deepEqual(await readCellTexts(api, task), ["b", "c", "d"]);
  await api.database.sql`delete from evaluations where text <> 'b'`;
  const [last] = (await call(api, user, "GET", pathOf(task))).body.items;
  await call(api, user, "DELETE", `/tasks/${task}/evaluations/${last.id}`);
  assert.equal(await readCellTexts(api, task), null, "null, as before the first evaluation");
});

Deno.test("only the author changes an evaluation; the author, the owner and admins delete it", async () => {
  await using api = await startApi();
  const { user, other, manager, admin, guest } = await addPeople(api);
  const task = await addMatrix(api, user);
  const share = await addShare(api, user, task);
  const reading = await addShare(api, user, task, { mode: "read" });
  const write = async (who: Parameters<typeof call>[1]) =>
    `/tasks/${task}/evaluations/${(await call(api, who, "POST", pathOf(task), { text: "x" })).body.id}`;
  const cases: [string, Parameters<typeof call>[1], number, number][] = [
    ["its author", other, 200, 204],
    ["the task's owner", user, 403, 204],
    ["an admin", admin, 403, 204],
    ["a manager", manager, 403, 403],
    ["a guest", guest, 403, 403],
    ["a share with mode rate", share, 403, 403],
    ["a share with mode read", reading, 403, 403],
  ];
  for (const [what, who, patched, removed] of cases) {
    const path = await write(other);
    assert.equal((await call(api, who, "GET", path)).status, 200, what);
    assert.equal((await call(api, who, "PATCH", path, { text: "y" })).status, patched, what);
    assert.equal((await call(api, who, "DELETE", path)).status, removed, what);
  }
  const path = await write(share);
  assert.equal((await call(api, share, "PATCH", path, { text: "by a share" })).body.author, null);
  assert.equal(
    (await call(api, share, "GET", pathOf(task))).body.items[0].author,
    null,
    "no e-mail addresses for a share",
  );
  assert.equal((await call(api, share, "DELETE", path)).status, 204);
  for (const who of [guest, reading]) {
    assert.equal((await call(api, who, "POST", pathOf(task), { text: "x" })).status, 403);
  }
  const elsewhere = await addMatrix(api, user);
  const id = (await write(user)).split("/").at(-1);
  assert.equal((await call(api, user, "GET", `/tasks/${elsewhere}/evaluations/${id}`)).status, 404);
  assert.equal((await call(api, user, "DELETE", `/tasks/${elsewhere}/evaluations/${id}`)).status, 404);
});

Deno.test("evaluations stay with their image, and a cell without an image cannot be evaluated", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user, { drawn: 4 });
  const first = await call(api, other, "POST", pathOf(task), { text: "old" });
  await rerun(api, user, task, 0);
  const none = await call(api, other, "POST", pathOf(task), { text: "x" });
  assert.deepEqual([none.status, none.body.detail], [409, "evaluating cell 0: it has no image now"]);
  await redraw(api, task);
  assert.equal(await readCellTexts(api, task), null);
  const second = await call(api, other, "POST", pathOf(task), { text: "new" });
  assert.deepEqual([first.body.version, second.body.version], [1, 2]);
  await call(api, other, "PATCH", `/tasks/${task}/evaluations/${first.body.id}`, { text: "old, edited" });
  assert.deepEqual(
    await readCellTexts(api, task),
    ["new"],
    "the text of an older image stays out of the cell",
  );
  assert.deepEqual(textsOf(await call(api, user, "GET", pathOf(task))), ["old, edited", "new"]);
  assert.equal((await call(api, other, "POST", pathOf(task, 6), { text: "x" })).status, 404);
  assert.equal((await call(api, other, "GET", pathOf(task, 6))).status, 404);
  assert.deepEqual((await call(api, other, "GET", pathOf(task, 5))).body, { items: [], next: null });
});

Deno.test("in a blind task, others' evaluations are hidden until one has given the image stars", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user);
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  const { body: { id } } = await call(api, other, "POST", pathOf(task), { text: "his" });
  await call(api, manager, "POST", pathOf(task), { text: "hers" });
  const one = `/tasks/${task}/evaluations/${id}`;
  const readVisible = async () => [
    textsOf(await call(api, manager, "GET", pathOf(task))).length,
    textsOf(await call(api, manager, "GET", `/tasks/${task}/evaluations`)).length,
    (await call(api, manager, "GET", one)).status,
    (await call(api, manager, "PATCH", one, { text: "x" })).status,
    (await call(api, manager, "DELETE", one)).status,
  ];
  const hidden = [1, 1, 404, 404, 404];
  assert.deepEqual(await readVisible(), hidden);
  await call(api, manager, "PUT", `/tasks/${task}/cells/0/rating`, { skipped: "x" });
  assert.deepEqual(await readVisible(), hidden, "a skip reveals nothing");
  await call(api, manager, "PUT", `/tasks/${task}/cells/0/rating`, { stars: 2 });
  assert.deepEqual(await readVisible(), [2, 2, 200, 403, 403]);
  assert.equal(textsOf(await call(api, user, "GET", pathOf(task))).length, 2, "the owner sees all");
});

Deno.test("any text is returned as it was sent", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const texts = [
    "<script>alert(1)</script> &amp; <img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "'; drop table evaluations; --",
    '{a,"b",NULL}',
    "\\ \" ' \t \r\n \u0001 \u001b[31m \u007f \u0085 \u2028 \u200f \u200d \ufeff \uffff",
    "e\u0301 ≠ é, 夕阳, 👩‍👩‍👧",
    "  around  ",
    "x".repeat(4000),
    "😀".repeat(4000),
  ];
  for (const text of texts) {
    const { status, body } = await call(api, user, "POST", pathOf(task), {
      text,
      tags: ["a b", '{,"', "null"],
    });
    assert.deepEqual([status, body.text, body.tags], [201, text, ["a b", '{,"', "null"]]);
  }
  assert.deepEqual(await readCellTexts(api, task), texts);
  assert.deepEqual(textsOf(await call(api, user, "GET", pathOf(task))), texts);
});

Deno.test("an invalid text or tag is refused with the name of the field", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const tagged = (...tags: unknown[]) => ({ text: "x", tags });
  const cases: [unknown, string][] = [
    [{}, "body.text"],
    ...["", "x".repeat(4001), "😀".repeat(4001), "a\0", 5, null, ["x"]].map((
      text,
    ): [unknown, string] => [{ text }, "body.text"]),
    ['{"text":"\\udc00x"}', "body.text"],
    [tagged(...Array.from({ length: 21 }, (_, i) => `${i}`)), "body.tags"],
    [tagged("ok", "x".repeat(101)), "body.tags.1"],
    ...["", "a\nb", "a\0", " a", "a ", "\t", "a\u2028b", "\u007f", 5, null].map((
      tag,
    ): [unknown, string] => [tagged(tag), "body.tags.0"]),
    ['{"text":"x","tags":["\\ud83d"]}', "body.tags.0"],
    [{ text: "x", tags: "a" }, "body.tags"],
    [{ text: "x", author_id: user.id }, "body.author_id"],
  ];
  const { body: { id } } = await call(api, user, "POST", pathOf(task), { text: "kept" });
  const one = `/tasks/${task}/evaluations/${id}`;
  for (const [body, field] of cases) {
    const calls: [string, string][] = [["POST", pathOf(task)]];
    if (JSON.stringify(body) !== "{}") calls.push(["PATCH", one]);
    for (const [method, path] of calls) {
      const answer = await call(api, user, method, path, body);
      const what = `${method} ${JSON.stringify(body).slice(0, 60)}: ${answer.text}`;
      assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, field], what);
    }
  }
  assert.equal((await call(api, user, "PATCH", one, {})).status, 422);
  for (const bad of ["x", "0", id.toUpperCase(), "00000000-0000-4000-8000-000000000000", "%00"]) {
    for (const [method, body] of [["GET"], ["DELETE"], ["PATCH", { text: "x" }]] as [string, unknown?][]) {
      assert.equal(
        (await call(api, user, method, `/tasks/${task}/evaluations/${bad}`, body)).status,
        404,
        bad,
      );
    }
  }
  assert.deepEqual(await readCellTexts(api, task), ["kept"]);
});

Deno.test("an idempotency key creates one evaluation, and If-Match refuses a change of an older state", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const key = { "idempotency-key": "k1" };
  const [a, b] = await Promise.all(
    [1, 2].map(() => call(api, user, "POST", pathOf(task), { text: "once" }, key)),
  );
  assert.deepEqual([a!.status, b!.status, a!.text], [201, 201, b!.text]);
  assert.deepEqual(a!.headers.get("location"), b!.headers.get("location"));
  assert.equal((await call(api, user, "POST", pathOf(task), { text: "other" }, key)).status, 409);
  assert.deepEqual(await readCellTexts(api, task), ["once"]);
  const one = `/tasks/${task}/evaluations/${a!.body.id}`;
  const tag = (await call(api, user, "GET", one)).headers.get("etag")!;
  assert.equal((await call(api, user, "GET", one, undefined, { "if-none-match": tag })).status, 304);
  const changed = await call(api, user, "PATCH", one, { text: "twice" }, { "if-match": tag });
  assert.equal(changed.status, 200, changed.text);
  assert.equal((await call(api, user, "PATCH", one, { text: "x" }, { "if-match": tag })).status, 409);
  const next = changed.headers.get("etag")!;
  assert.equal((await call(api, user, "GET", one)).headers.get("etag"), next);
  assert.equal((await call(api, user, "PATCH", one, { text: "x" }, { "if-match": next })).status, 200);
});

Deno.test("of 20 concurrent evaluations none is lost, and the cell agrees with the list", async () => {
  await using api = await startApi({ env: { RATE_LIMIT: "1000000" } });
  const { user, other } = await addPeople(api);
  const task = await addMatrix(api, user);
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, i) => call(api, i % 2 ? user : other, "POST", pathOf(task), { text: `${i}` }),
    ),
  );
  assert.ok(answers.every(({ status }) => status === 201));
  await Promise.all(
    answers.slice(0, 10).map(({ body }, i) => {
      const path = `/tasks/${task}/evaluations/${body.id}`;
      return i < 5
        ? call(api, user, "DELETE", path)
        : call(api, i % 2 ? user : other, "PATCH", path, { text: "!" });
    }),
  );
  const listed = textsOf(await call(api, user, "GET", pathOf(task)));
  assert.equal(listed.length, 15);
  assert.deepEqual(await readCellTexts(api, task), listed);
});
