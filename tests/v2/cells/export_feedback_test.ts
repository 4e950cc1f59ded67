/** Exports contain everything that people said about the cells, and no more than the reader may see. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../../support/api.ts";
import { hasBrowser, openPage } from "../../support/browser.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";
import { omit, readCsv, readNdjson, readPage, type RestoredRow } from "../support/export_files.ts";
import { addShare, redraw, rerun } from "../support/images.ts";

async function setUp() {
  const api = await startApi();
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  return Object.assign(people, { api, task, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() });
}

type Who = V2Person | string;

async function send(api: TestApi, who: Who, method: string, path: string, body?: unknown) {
  const answer = await call(api, who, method, path, body);
  assert.ok(answer.status < 300, answer.text);
  return answer;
}

async function download(api: TestApi, who: Who, task: string, query: string) {
  return (await send(api, who, "GET", `/tasks/${task}/export?${query}`)).text;
}

/** Reads an export as CSV and as JSON lines, which must agree; and checks that the page agrees. */
async function readExport(api: TestApi, who: Who, task: string): Promise<RestoredRow[]> {
  const rows = readNdjson(await download(api, who, task, "format=ndjson"));
  assert.deepEqual(readCsv(await download(api, who, task, "format=csv")), rows);
  const page = readPage(await download(api, who, task, "format=html"));
  assert.deepEqual(
    page.rows.map((row) => omit(row, "indices")),
    rows.map((row) => omit(row, "axes", "version")),
  );
  return rows;
}

const evaluations = [
  { text: "=good, but", tags: ["a, b"] },
  { text: 'two\nlines, "quoted"', tags: ["a", "b"] },
  { text: "'+plain", tags: [] },
];

/** Adds every kind of feedback to cells 0 and 1. */
async function addFeedback({ api, task, user, other, manager }: Awaited<ReturnType<typeof setUp>>) {
  const cell = `/tasks/${task}/cells/0`;
  await send(api, user, "PUT", `${cell}/rating`, { stars: 4, took_ms: 1200 });
  await send(api, other, "PUT", `${cell}/rating`, {
    skipped: "=too dark; \n'blurred', \"cut\"",
    blind: true,
  });
  await send(api, manager, "PUT", `${cell}/rating`, { stars: 1 });
  for (const [i, who] of [user, other, other].entries()) {
    await send(api, who, "POST", `${cell}/evaluations`, evaluations[i]);
  }
  await send(api, user, "PUT", `${cell}/tags/${encodeURIComponent("a, b")}`);
  await send(api, user, "PUT", `/tasks/${task}/cells/1/tags/a`);
  await send(api, other, "PUT", `/tasks/${task}/cells/1/tags/b`);
  await send(api, user, "PUT", `${cell}/favourite`);
  const pair = { left: { cell: 0, version: 1 }, right: { cell: 1, version: 1 } };
  await send(api, user, "POST", `/tasks/${task}/votes`, Object.assign({ outcome: "left", took_ms: 7 }, pair));
  await send(api, other, "POST", `/tasks/${task}/votes`, Object.assign({ outcome: "skip" }, pair));
}

const email = ({ email }: V2Person) => email;
const vote = (rater: V2Person, outcome: string, otherCell: number, tookMs: number | null) => ({
  rater: rater.email,
  outcome,
  other_cell: otherCell,
  other_version: 1,
  blind: false,
  took_ms: tookMs,
});

Deno.test("ratings, reasons for skipping, evaluations, tags and votes leave with every format, and can be read back", async () => {
  await using fixture = await setUp();
  const { api, task, user, other, manager } = fixture;
  await addFeedback(fixture);
  const [first, second, third] = await readExport(api, user, task);
  assert.deepEqual(omit(first!, "axes", "status", "image", "seed", "prompts", "ratio"), {
    cell: 0,
    version: 1,
    error: null,
    mean: 2.5,
    n: 2,
    distribution: [1, 0, 0, 1, 0],
    raters: [user, other, manager].map(email),
    ratings: [4, null, 1],
    skip_reasons: [null, "=too dark; \n'blurred', \"cut\"", null],
    ratings_blind: [false, true, false],
    ratings_took_ms: [1200, null, null],
    evaluations: evaluations.map(({ text }) => text),
    evaluation_authors: [user, other, other].map(email),
    evaluation_tags: evaluations.map(({ tags }) => tags),
    tags: ["a, b"],
    tag_authors: [user.email],
    votes: [vote(user, "better", 1, 7), vote(other, "skip", 1, null)],
    earlier_images: [],
    favourite: true,
  });
  assert.deepEqual([second!.tags, second!.tag_authors], [["a", "b"], [user.email, other.email]]);
  assert.deepEqual(second!.votes, [vote(user, "worse", 0, 7), vote(other, "skip", 0, null)]);
  assert.deepEqual([third!.raters, third!.evaluations, third!.favourite], [[], [], false]);
});

Deno.test("what people said about an earlier image leaves with the export too, apart from the present one", async () => {
  await using fixture = await setUp();
  const { api, task, user, other, manager } = fixture;
  await addFeedback(fixture);
  const [before] = await readExport(api, user, task);
  await rerun(api, user, task, 0);
  await redraw(api, task);
  await send(api, other, "PUT", `/tasks/${task}/cells/0/rating`, { stars: 5 });
  const [first] = await readExport(api, user, task);
  assert.deepEqual([first!.version, first!.n, first!.mean, first!.distribution], [2, 1, 5, [0, 0, 0, 0, 1]]);
  assert.deepEqual([first!.raters, first!.ratings, first!.evaluations], [[other.email], [5], []]);
  const [earlier, ...others] = first!.earlier_images;
  assert.deepEqual(others, []);
  assert.deepEqual([earlier!.version, earlier!.raters], [1, [user, other, manager].map(email)]);
  for (const name of ["ratings", "skip_reasons", "evaluations", "evaluation_tags", "votes"] as const) {
    assert.deepEqual(earlier![name], before![name]);
  }
});

Deno.test("people have no names in an export for a share, and deleted users only their ids", async () => {
  await using fixture = await setUp();
  const { api, task, user, other, manager } = fixture;
  await addFeedback(fixture);
  const share = await addShare(api, user, task, { mode: "read" });
  const [first] = await readExport(api, share, task);
  const ids = [user.id, other.id, manager.id];
  assert.deepEqual([first!.raters, first!.evaluation_authors], [ids, [user.id, other.id, other.id]]);
  assert.deepEqual([first!.tag_authors, first!.votes, first!.favourite], [[user.id], [], false]);
  for (const format of ["csv", "ndjson", "html"]) {
    assert.doesNotMatch(await download(api, share, task, `format=${format}`), /@example\.com/);
  }
  await api.database.sql`delete from users where id = ${other.id}`;
  const [left] = await readExport(api, user, task);
  assert.deepEqual(left!.raters, [user.email, other.id, manager.email]);
  assert.deepEqual(left!.evaluation_authors, [user.email, other.id, other.id]);
});

Deno.test("an export for somebody who is not the owner has one's own votes only", async () => {
  await using fixture = await setUp();
  const { api, task, other, manager, admin } = fixture;
  await addFeedback(fixture);
  const votesFor = async (who: V2Person) => (await readExport(api, who, task)).flatMap(({ votes }) => votes);
  assert.deepEqual((await votesFor(other)).map(({ rater }) => rater), [other.email, other.email]);
  assert.deepEqual(await votesFor(manager), []);
  assert.equal((await votesFor(admin)).length, 4);
});

Deno.test("while others are hidden, an export has one's own ratings, reasons, evaluations and tags of each image", async () => {
  await using fixture = await setUp();
  const { api, task, user, other, manager, guest } = fixture;
  await addFeedback(fixture);
  await send(api, other, "PUT", `/tasks/${task}/cells/1/rating`, { stars: 2 });
  await send(api, manager, "PUT", `/tasks/${task}/cells/1/rating`, { skipped: "unclear" });
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  const [skipped, rated] = await readExport(api, other, task);
  assert.deepEqual([skipped!.n, skipped!.mean, skipped!.distribution], [null, null, null]);
  assert.deepEqual([skipped!.raters, skipped!.evaluations, skipped!.tags], [
    [other.email],
    evaluations.slice(1).map(({ text }) => text),
    [],
  ]);
  assert.deepEqual(skipped!.evaluation_tags, [["a", "b"], []]);
  assert.deepEqual([rated!.raters, rated!.skip_reasons, rated!.tags], [
    [other.email, manager.email],
    [null, "unclear"],
    ["a", "b"],
  ]);
  const [hidden] = await readExport(api, guest, task);
  assert.deepEqual([
    hidden!.raters,
    hidden!.evaluations,
    hidden!.evaluation_tags,
    hidden!.tags,
    hidden!.votes,
  ], [
    ...[[], [], [], [], []],
  ]);
  await rerun(api, user, task, 0);
  await redraw(api, task);
  const [redrawn] = await readExport(api, other, task);
  assert.deepEqual(redrawn!.earlier_images.map(({ raters }) => raters), [[other.email]]);
  await send(api, other, "PUT", `/tasks/${task}/cells/0/rating`, { stars: 3 });
  const [seen] = await readExport(api, other, task);
  assert.deepEqual(
    seen!.earlier_images.map(({ raters }) => raters),
    [[other.email]],
    "the earlier image stays hidden",
  );
  assert.equal((await readExport(api, user, task))[0]!.earlier_images[0]!.raters.length, 3);
});

Deno.test({
  name: "the exported page shows reasons, authors, tags and votes of a cell, and finds it by them",
  ignore: !hasBrowser,
  async fn() {
    await using fixture = await setUp();
    const { api, task, user } = fixture;
    await addFeedback(fixture);
    await rerun(api, user, task, 1);
    await redraw(api, task);
    const html = await download(api, user, task, "format=html");
    await using opened = await openPage();
    const { page } = opened;
    await page.route("https://images.example/**", (route) => route.abort());
    await page.route(
      "https://export.example/",
      (route) => route.fulfill({ contentType: "text/html", body: html }),
    );
    await page.goto("https://export.example/");
    await page.fill("input[type=search]", "too dark");
    assert.equal(await page.textContent("#count"), "1 of 6 cells");
    await page.click(".cell:not(.dim)");
    const facts = await page.innerText("#facts");
    for (
      const part of [
        "skipped: =too dark",
        "other@example.com",
        "better than cell 1",
        "a, b",
        "=good, but",
        "yours",
      ]
    ) {
      assert.ok(facts.includes(part), `${part} in ${facts}`);
    }
    assert.deepEqual(await page.locator("#facts blockquote .tags span").allTextContents(), [
      "a, b",
      "a",
      "b",
    ]);
    await page.keyboard.press("ArrowDown");
    assert.match(await page.innerText("#facts"), /Image 1, earlier[^]*worse than cell 0/);
    assert.deepEqual(opened.errors.filter((error) => !error.includes("ERR_FAILED")), []);
  },
});
