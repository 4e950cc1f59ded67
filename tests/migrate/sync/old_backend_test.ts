import assert from "node:assert/strict";
import { startOldBackend } from "../../../dev/servers/old_backend.ts";
import { secret, startApi } from "../../support/api.ts";
import { createDatabase } from "../../support/database.ts";
import { waitFor } from "../../support/wait.ts";
import { assertFollowed, databaseName, startFollowed, syncOnce } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";

const admin = { email: "admin@example.com", password: "admin-secret-1" };

const body = {
  task_name: "played",
  username: "ignored",
  tags: [
    { id: "1", type: "prompt", isVariable: true, name: "scene" },
    { id: "2", type: "seed", isVariable: true, name: "seed" },
    { id: "3", type: "element", isVariable: false, name: "style", value: "style", uuid: "u-1", weight: 0.5 },
  ],
  variables: {
    v0: {
      tag_id: "1",
      name: "scene",
      values: [{ id: "a", value: "sea", weight: 1 }, { id: "b", value: "夕阳" }],
    },
    v1: { tag_id: "2", name: "seed", values: [{ id: "c", value: "7" }, { id: "d", value: "3000000000" }] },
  },
  settings: { concurrency: 80 },
};

/** Calls an API. @returns status and body */
async function call(origin: string, method: string, path: string, token: string, json?: unknown) {
  const response = await fetch(`${origin}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  return { status: response.status, text, data: text.startsWith("{") ? JSON.parse(text).data : undefined };
}

async function login(origin: string): Promise<string> {
  const form = new URLSearchParams({ username: admin.email, password: admin.password });
  const response = await fetch(`${origin}/api/v1/auth/login`, { method: "POST", body: form });
  const { data } = await response.json();
  return data.access_token;
}

/** The keys of `results.raw` differ on purpose. */
const withoutRaw = (text: string) => text.replace(/"raw":\{.*?\}\}\}/s, '"raw":…');

Deno.test({
  name: "a task, its subtasks and users of the played old backend read the same after a sync",
  ignore: !mongod,
  async fn() {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    await using old = await startOldBackend({
      mongoUrl: followed.mongo.url,
      database: databaseName,
      secret,
      executor: { attemptMs: 5, failShare: 0.3 },
    });
    await old.addUser(admin.email, admin.password, ["admin"]);
    const token = await login(old.origin);
    const user = await call(old.origin, "POST", "/users/", token, {
      email: "new@example.com",
      password: "long-enough",
    });
    assert.equal(user.status, 200, user.text);
    const taken = await call(old.origin, "POST", "/users/", token, {
      email: "new@example.com",
      password: "long-enough",
    });
    assert.equal(taken.status, 400);
    const changed = await call(old.origin, "PUT", `/users/${user.data.id}`, token, { fullname: "名" });
    assert.equal(changed.data?.fullname, "名", changed.text);
    const created = await call(old.origin, "POST", "/tasks", token, body);
    assert.equal(created.status, 200, created.text);
    assert.equal(created.data.total_images, 4);
    const id = created.data.id as string;
    await waitFor("the executor", async () => {
      const { data } = await call(old.origin, "GET", `/tasks/${id}`, token);
      return data.status !== "pending" && data.progress === 100;
    });
    await old.executor.drain();
    const cancelled = await call(old.origin, "POST", "/tasks", token, body);
    assert.equal((await call(old.origin, "POST", `/tasks/${cancelled.data.id}/cancel`, token)).status, 200);
    assert.equal((await call(old.origin, "DELETE", `/tasks/${id}`, "")).status, 401);

    await syncOnce(database.sql, followed);
    await assertFollowed(database.sql, followed.db);
    const { rows } = { rows: await database.sql`select generation from subtasks` };
    assert.deepEqual([...new Set(rows.map(({ generation }) => generation))], ["S4"]);
    await using api = await startApi({ database });
    const paths = ["/users/me", "/users/", "/tasks", `/tasks/${id}/matrix`, `/tasks/${cancelled.data.id}`];
    for (const path of paths) {
      const [then, now] = await Promise.all([old, api].map(({ origin }) => call(origin, "GET", path, token)));
      assert.equal(now!.text, then!.text, path);
    }
    const [then, now] = await Promise.all(
      [old, api].map(({ origin }) => call(origin, "GET", `/tasks/${id}`, token)),
    );
    assert.equal(withoutRaw(now!.text), withoutRaw(then!.text));

    assert.equal((await call(old.origin, "DELETE", `/tasks/${id}`, token)).status, 200);
    assert.equal((await call(old.origin, "DELETE", `/users/${user.data.id}`, token)).status, 200);
    assert.equal((await call(old.origin, "GET", `/users/${user.data.id}`, token)).status, 404);
    await syncOnce(database.sql, followed);
    await assertFollowed(database.sql, followed.db);
  },
});
