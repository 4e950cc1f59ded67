/** Planes: one byte per cell, complete or as changes. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { settleSubtasks } from "../../../db/queue/subtasks.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { claim, done, join } from "../../support/cells.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";

interface Answer {
  status: number;
  revision: string;
  cells: number;
  delta: boolean;
  bytes: Uint8Array;
}

async function read(api: TestApi, who: V2Person, id: string, query = ""): Promise<Answer> {
  const response = await fetch(`${api.origin}/api/v2/tasks/${id}/planes${query}`, {
    headers: { authorization: `Bearer ${who.access}` },
  });
  const { status, headers } = response;
  const bytes = new Uint8Array(await response.arrayBuffer());
  return {
    status,
    bytes,
    revision: headers.get("x-revision")!,
    cells: Number(headers.get("x-cells")),
    delta: headers.get("x-delta") === "true",
  };
}

/** Applies a response to the known planes, as the API documentation describes. */
function applyPlanes(before: Uint8Array[], { delta, cells, bytes }: Answer): Uint8Array[] {
  if (!delta) return before.map((_, p) => bytes.slice(p * cells, (p + 1) * cells));
  const after = before.map((plane) => plane.slice());
  after[0] = after[0]!.map((status) => status === 2 ? 1 : status);
  const view = new DataView(bytes.buffer);
  for (let offset = 0; offset < bytes.length; offset += 4 + after.length) {
    after.forEach((plane, p) => plane[view.getUint32(offset, true)] = bytes[offset + 4 + p]!);
  }
  return after;
}

Deno.test("planes contain the state, mean, number of raters and own stars of each cell", async () => {
  await using api = await startApi();
  const { user, other } = await addPeople(api);
  const id = await addMatrix(api, user, { prompts: 3, ratios: 2, drawn: 3 });
  await join(api.database.sql);
  await claim(api.database.sql, 1);
  await call(api, user, "PUT", `/tasks/${id}/cells/1/rating`, { stars: 4 });
  await call(api, other, "PUT", `/tasks/${id}/cells/1/rating`, { stars: 1 });
  await call(api, other, "PUT", `/tasks/${id}/cells/2/rating`, { skipped: "no" });
  const all = await read(api, other, id, "?f=status,rating,n,mine");
  assert.deepEqual([all.status, all.cells, all.delta], [200, 6, false]);
  assert.deepEqual([...all.bytes.slice(0, 3)], [3, 3, 3]);
  assert.deepEqual([...all.bytes.slice(3, 6)].sort(), [1, 1, 2]);
  assert.deepEqual([...all.bytes.slice(6)], [0, 25, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 6, 0, 0, 0]);
  const spread = await read(api, other, id, "?f=spread");
  assert.deepEqual([...spread.bytes], [0, 16, 0, 0, 0, 0], "one plus ten times the deviation of 4 and 1");
  await api.database.sql`update tasks set blind = true where id = ${id}`;
  await call(api, other, "DELETE", `/tasks/${id}/cells/1/rating`);
  const hidden = await read(api, other, id, "?f=rating,n,spread");
  assert.deepEqual(
    [...hidden.bytes],
    Array(18).fill(0),
    "others' ratings are hidden from a rater without a rating",
  );
  assert.deepEqual(
    [...(await read(api, user, id, "?f=rating")).bytes],
    [0, 40, 0, 0, 0, 0],
    "the owner sees them",
  );
  for (const query of ["?f=", "?f=bogus", "?f=status,,n", "?since=-1", "?since=x"]) {
    assert.equal((await read(api, user, id, query)).status, 422, query);
  }
});

Deno.test("applying a delta gives the same planes as a complete response after any sequence of changes", async () => {
  await using api = await startApi({ env: { RATE_LIMIT: "1000000" } });
  const { user } = await addPeople(api);
  const { sql } = api.database;
  await join(sql);
  const steps: Record<string, (id: string) => Promise<unknown>> = {
    claim: () => claim(sql, 2),
    draw: async () => await settleSubtasks(sql, (await claim(sql, 1)).map(done)),
    rate: (id) => call(api, user, "PUT", `/tasks/${id}/cells/3/rating`, { stars: 3 }),
    clear: (id) => call(api, user, "DELETE", `/tasks/${id}/cells/3/rating`),
    rerun: (id) => call(api, user, "POST", `/tasks/${id}/cells/5/rerun`),
    prune: (id) => call(api, user, "POST", `/tasks/${id}/prune`, { cells: [20, 21] }),
    cancel: (id) => call(api, user, "POST", `/tasks/${id}/cancel`),
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 1, maxLength: 8 }),
      async (names) => {
        const id = await addMatrix(api, user, { prompts: 6, ratios: 8, drawn: 10 });
        const f = "?f=status,rating,mine";
        let answer = await read(api, user, id, f);
        let planes = applyPlanes([0, 1, 2].map(() => new Uint8Array()), answer);
        for (const name of names) {
          await steps[name]!(id);
          answer = await read(api, user, id, `${f}&since=${answer.revision}`);
          planes = applyPlanes(planes, answer);
          const whole = await read(api, user, id, f);
          assert.deepEqual(planes, applyPlanes(planes, { ...whole, delta: false }), names.join());
        }
        await sql`update tasks set is_deleted = true, hold = 'pause' where id = ${id}`;
      },
    ),
    { numRuns: 12 },
  );
});

Deno.test("a delta contains only changes, and an unknown revision gets complete planes", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const id = await addMatrix(api, user, { prompts: 20, ratios: 20, drawn: 50 });
  const first = await read(api, user, id);
  assert.equal(first.bytes.length, 800);
  assert.equal((await read(api, user, id, `?since=${first.revision}`)).bytes.length, 0);
  await call(api, user, "PUT", `/tasks/${id}/cells/7/rating`, { stars: 5 });
  const delta = await read(api, user, id, `?since=${first.revision}`);
  assert.deepEqual([delta.delta, [...delta.bytes]], [true, [7, 0, 0, 0, 3, 50]]);
  for (const since of ["0", "999999"]) {
    const whole = await read(api, user, id, `?since=${since}`);
    assert.deepEqual([whole.delta, whole.bytes.length], [false, 800]);
  }
  assert.equal((await read(api, user, crypto.randomUUID())).status, 404);
});
