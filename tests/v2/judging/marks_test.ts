/** Favourites and tags. */
import assert from "node:assert/strict";
import { startApi } from "../../support/api.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";
import { addMigratedTask, addShare, redraw, rerun } from "../support/images.ts";

Deno.test("favourites are private, and marking and unmarking are idempotent", async () => {
  await using api = await startApi();
  const { user, other, guest } = await addPeople(api);
  const task = await addMatrix(api, user, { drawn: 3 });
  const cells = async (who: Parameters<typeof call>[1], query = "") => {
    const { body } = await call(api, who, "GET", `/tasks/${task}/favourites${query}`);
    return [body.items.map(({ cell }: { cell: number }) => cell), body.next];
  };
  for (const cell of [4, 1, 4, 0]) {
    const { status } = await call(api, user, "PUT", `/tasks/${task}/cells/${cell}/favourite`);
    assert.equal(status, 204);
  }
  assert.deepEqual(await cells(user), [[0, 1, 4], null]);
  assert.deepEqual(await cells(other), [[], null]);
  const [first, next] = await cells(user, "?limit=2");
  assert.deepEqual([first, await cells(user, `?limit=2&cursor=${next}`)], [[0, 1], [[4], null]]);
  for (let i = 0; i < 2; i++) {
    assert.equal((await call(api, user, "DELETE", `/tasks/${task}/cells/1/favourite`)).status, 204);
  }
  assert.deepEqual(await cells(user), [[0, 4], null]);
  const share = await addShare(api, user, task);
  for (const who of [guest, share]) {
    assert.equal((await call(api, who, "PUT", `/tasks/${task}/cells/0/favourite`)).status, 403);
  }
  for (const cell of ["6", "x", "-1", "%00"]) {
    for (const method of ["PUT", "DELETE"]) {
      assert.equal(
        (await call(api, user, method, `/tasks/${task}/cells/${cell}/favourite`)).status,
        404,
        cell,
      );
    }
  }
  const old = await addMigratedTask(api, user);
  assert.equal((await call(api, user, "PUT", `/tasks/${old}/cells/2/favourite`)).status, 204);
});

Deno.test("everyone sees tags; their author, the owner and admins remove them", async () => {
  await using api = await startApi();
  const { user, other, manager, admin, guest } = await addPeople(api);
  const task = await addMatrix(api, user);
  const path = (cell: number, tag: string) => `/tasks/${task}/cells/${cell}/tags/${encodeURIComponent(tag)}`;
  const tagsOf = async (cell: number, who: Parameters<typeof call>[1] = guest) =>
    (await call(api, who, "GET", `/tasks/${task}/cells/${cell}/tags`)).body.items.map(
      ({ tag, author }: Record<string, unknown>) => [tag, author],
    );
  const revision = async () =>
    (await api.database.sql`select revision::int from tasks where id = ${task}`)[0]!.revision;
  const before = await revision();
  assert.equal((await call(api, other, "PUT", path(0, "for print"))).status, 204);
  assert.equal(await revision(), before + 1);
  assert.equal((await call(api, user, "PUT", path(0, "for print"))).status, 204);
  assert.equal(await revision(), before + 1, "no change");
  await call(api, user, "PUT", path(0, "夕阳/50% 😀"));
  await call(api, user, "PUT", path(0, "Z"));
  await call(api, user, "PUT", path(3, "for print"));
  assert.deepEqual(await tagsOf(0), [
    ["Z", "user@example.com"],
    ["for print", "other@example.com"],
    ["夕阳/50% 😀", "user@example.com"],
  ]);
  const reading = await addShare(api, user, task, { mode: "read" });
  assert.deepEqual(await tagsOf(3, reading), [["for print", null]], "no e-mail addresses for a share");
  const all = await call(api, guest, "GET", `/tasks/${task}/tags`);
  const expected = [{ tag: "Z", cells: 1 }, { tag: "for print", cells: 2 }, { tag: "夕阳/50% 😀", cells: 1 }];
  assert.deepEqual(all.body, { items: expected, next: null });
  const page = await call(api, guest, "GET", `/tasks/${task}/tags?limit=2`);
  assert.deepEqual(page.body.items, expected.slice(0, 2));
  const rest = await call(api, guest, "GET", `/tasks/${task}/tags?limit=2&cursor=${page.body.next}`);
  assert.deepEqual(rest.body, { items: expected.slice(2), next: null });
  const tagged = await call(api, guest, "GET", `/tasks/${task}/tags/for%20print`);
  assert.deepEqual(tagged.body.items.map(({ cell }: { cell: number }) => cell), [0, 3]);
  assert.deepEqual((await call(api, guest, "GET", `/tasks/${task}/tags/none`)).body, {
    items: [],
    next: null,
  });
  const cases: [string, Parameters<typeof call>[1], number][] = [
    ["a manager", manager, 403],
    ["a guest", guest, 403],
    ["its author", other, 204],
    ["again", other, 204],
    ["an admin, already removed", admin, 204],
  ];
  for (const [what, who, expected] of cases) {
    assert.equal((await call(api, who, "DELETE", path(0, "for print"))).status, expected, what);
  }
  await call(api, other, "PUT", path(0, "x"));
  assert.equal((await call(api, user, "DELETE", path(0, "x"))).status, 204, "the owner");
  await call(api, other, "PUT", path(0, "x"));
  assert.equal((await call(api, admin, "DELETE", path(0, "x"))).status, 204, "an admin");
});

Deno.test("in a blind task, others' tags of an image are hidden until one has given it stars", async () => {
  await using api = await startApi();
  const { user, other, manager } = await addPeople(api);
  const task = await addMatrix(api, user);
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  await call(api, other, "PUT", `/tasks/${task}/cells/0/tags/best`);
  await call(api, manager, "PUT", `/tasks/${task}/cells/0/tags/own`);
  const readVisible = async () => [
    (await call(api, manager, "GET", `/tasks/${task}/cells/0/tags`)).body.items.length,
    (await call(api, manager, "GET", `/tasks/${task}/tags`)).body.items.length,
    (await call(api, manager, "GET", `/tasks/${task}/tags/best`)).body.items.length,
    (await call(api, manager, "DELETE", `/tasks/${task}/cells/0/tags/best`)).status,
  ];
  const hidden = [1, 1, 0, 204];
  assert.deepEqual(await readVisible(), hidden);
  await call(api, manager, "PUT", `/tasks/${task}/cells/0/rating`, { stars: 3 });
  assert.deepEqual(await readVisible(), [2, 2, 1, 403]);
  await rerun(api, user, task, 0);
  await redraw(api, task);
  assert.deepEqual(await readVisible(), hidden, "the next image");
  assert.equal((await call(api, user, "GET", `/tasks/${task}/cells/0/tags`)).body.items.length, 2);
});

Deno.test("an invalid tag is refused, and a cell has at most 50 tags", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const bad = [
    "%20a",
    "a%20",
    "a%0Ab",
    "%7F",
    "%E2%80%A8",
    "x".repeat(101),
    "%zz",
    "%ff",
    "%ED%A0%80",
    "a%",
  ];
  for (const tag of bad) {
    for (const method of ["PUT", "DELETE"]) {
      const answer = await call(api, user, method, `/tasks/${task}/cells/0/tags/${tag}`);
      assert.deepEqual(
        [answer.status, answer.body.errors?.[0].field],
        [422, "path.tag"],
        `${tag}: ${answer.text}`,
      );
    }
    assert.equal((await call(api, user, "GET", `/tasks/${task}/tags/${tag}`)).status, 422, tag);
  }
  const valid = [
    "%25zz",
    "'%20or%201=1--",
    "__proto__",
    "..%2F..",
    "%3Cb%3E",
    encodeURIComponent("😀".repeat(100)),
  ];
  for (const tag of valid) {
    const { status, text } = await call(api, user, "PUT", `/tasks/${task}/cells/0/tags/${tag}`);
    assert.equal(status, 204, `${tag}: ${text}`);
  }
  const { body } = await call(api, user, "GET", `/tasks/${task}/cells/0/tags`);
  assert.deepEqual(
    body.items.map(({ tag }: { tag: string }) => tag).toSorted(),
    valid.map(decodeURIComponent).toSorted(),
  );
  for (let i = valid.length; i < 50; i++) await call(api, user, "PUT", `/tasks/${task}/cells/0/tags/t${i}`);
  assert.equal((await call(api, user, "PUT", `/tasks/${task}/cells/0/tags/more`)).status, 409);
  assert.equal(
    (await call(api, user, "PUT", `/tasks/${task}/cells/0/tags/t20`)).status,
    204,
    "the cell has this tag",
  );
  assert.equal((await call(api, user, "PUT", `/tasks/${task}/cells/6/tags/a`)).status, 404);
});
