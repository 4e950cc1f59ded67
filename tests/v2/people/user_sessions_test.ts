/** The sessions of any user, for admins. */
import assert from "node:assert/strict";
import { startApi } from "../../support/api.ts";
import { addPeople, call } from "../support/api.ts";

Deno.test("an admin lists the sessions of a user and ends them, and their tokens stop working", async () => {
  await using api = await startApi();
  const { admin, manager, user } = await addPeople(api);
  const path = `/users/${user.id}/sessions`;
  const { status, body, text } = await call(api, admin, "GET", path);
  assert.equal(status, 200, text);
  assert.deepEqual(
    body.items.map(({ client, current }: Record<string, unknown>) => [client, current]),
    [["test", false]],
  );
  const own = await call(api, admin, "GET", `/users/${admin.id}/sessions`);
  assert.equal(own.body.items[0].current, true);
  assert.equal((await call(api, manager, "GET", path)).status, 403);
  assert.equal((await call(api, manager, "DELETE", path)).status, 403);
  assert.equal((await call(api, user, "GET", "/users/me")).status, 200);
  assert.equal((await call(api, admin, "DELETE", path)).status, 204);
  assert.equal((await call(api, user, "GET", "/users/me")).status, 401);
  assert.deepEqual((await call(api, admin, "GET", path)).body.items, []);
  assert.equal((await call(api, admin, "DELETE", path)).status, 204, "a repeated call is the same");
});

Deno.test("sessions of an unknown user are not found, and a faulty cursor is refused", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  for (const id of ["00000000-0000-4000-8000-000000000000", "me", "x'"]) {
    for (const method of ["GET", "DELETE"]) {
      assert.equal((await call(api, admin, method, `/users/${id}/sessions`)).status, 404, `${method} ${id}`);
    }
  }
  assert.equal((await call(api, admin, "GET", `/users/${admin.id}/sessions?cursor=x`)).status, 422);
});
