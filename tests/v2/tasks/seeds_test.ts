/** Seeds by policy: which cells share a seed, for any matrix. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { expandTask } from "../../../jobs/matrix/expand.ts";
import { type AxisRole, axisRoles, seedMax } from "../../../db/queue/task_fields.ts";
import type { SeedRule } from "../../../jobs/matrix/seeds.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { openRows } from "../../support/queue_rig.ts";

/** Creates a body with prompts, a batch and, if `seeds` are given, a seed tag. */
function makeBody(lengths: number[], batch: number, seeds?: number[]) {
  const tags = lengths.map((_, i) => ({ type: "prompt", isVariable: true, name: `a${i}` }));
  const variables = Object.fromEntries(
    lengths.map((
      n,
      i,
    ) => [`v${i}`, { name: `a${i}`, values: Array.from({ length: n }, (_, k) => `${i}-${k}`) }]),
  );
  const more = [
    { type: "batch", value: batch },
    ...(seeds ? [{ type: "seed", isVariable: true, name: "s" }] : []),
  ];
  const all = { ...variables, ...(seeds ? { [`v${lengths.length}`]: { name: "s", values: seeds } } : {}) };
  return {
    tags: parseJson(JSON.stringify([...tags, ...more])) as Json[],
    variables: parseJson(JSON.stringify(all)) as JsonObject,
    settings: new Map() as JsonObject,
  };
}

const matrix = fc.record({
  lengths: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
  batch: fc.integer({ min: 1, max: 3 }),
  roles: fc.array(fc.constantFrom(...axisRoles, undefined), { minLength: 4, maxLength: 4 }),
});

const toRoles = (roles: (AxisRole | undefined)[]) =>
  Object.fromEntries(roles.flatMap((role, i) => role === undefined ? [] : [[`v${i}`, role]]));

function readCells(lengths: number[], batch: number, seedRule: SeedRule) {
  const { cells } = expandTask(makeBody(lengths, batch), { seedRule });
  return [...cells].map(({ cell, seed }) => {
    const indices: number[] = [];
    let rest = Math.floor(cell / batch);
    for (let i = lengths.length - 1; i >= 0; i--) {
      indices[i] = rest % lengths[i]!;
      rest = Math.floor(rest / lengths[i]!);
    }
    return { seed, indices, repeat: cell % batch };
  });
}

Deno.test("seeds differ exactly as the policy states: always by replicate, and by content under per_combination", () => {
  fc.assert(fc.property(
    matrix,
    fc.constantFrom("shared" as const, "per_combination" as const, "pinned" as const),
    ({ lengths, batch, roles }, policy) => {
      const rule = { policy, roles: toRoles(roles), ...(policy === "pinned" ? { seed: 7 } : {}) };
      const cells = readCells(lengths, batch, rule);
      const read = (role: AxisRole, { indices }: { indices: number[] }) =>
        indices.filter((_, i) => roles[i] === role).join();
      const byReplicate = new Map<string, Set<number | bigint>>();
      const offsets = new Map<string, Set<number>>();
      for (const cell of cells) {
        const content = policy === "per_combination" ? read("content", cell) : "";
        const key = `${content}|${read("replicate", cell)}|${cell.repeat}`;
        byReplicate.set(key, (byReplicate.get(key) ?? new Set()).add(cell.seed));
        offsets.set(content, (offsets.get(content) ?? new Set()).add(Number(cell.seed)));
      }
      for (const seeds of byReplicate.values()) assert.equal(seeds.size, 1);
      const replicates = lengths.reduce((n, length, i) => roles[i] === "replicate" ? n * length : n, batch);
      for (const seeds of offsets.values()) {
        assert.equal(seeds.size, replicates);
        assert.equal(Math.max(...seeds) - Math.min(...seeds), replicates - 1);
        assert.ok(Math.min(...seeds) >= 1 && Math.max(...seeds) <= seedMax);
      }
      if (policy === "pinned") assert.equal(Math.min(...cells.map(({ seed }) => Number(seed))), 7);
    },
  ));
});

Deno.test("the seed of a tag takes precedence under every policy", () => {
  for (const policy of ["shared", "per_combination", "per_cell", "pinned"] as const) {
    const rule = { policy, roles: {}, ...(policy === "pinned" ? { seed: 5 } : {}) };
    const { cells } = expandTask(makeBody([2], 2, [11, 12]), { seedRule: rule });
    assert.deepEqual([...cells].map(({ seed }) => seed), [11, 11, 12, 12, 11, 11, 12, 12], policy);
  }
});

Deno.test("a drawn seed near the maximum leaves room for replicates, and such a pinned seed is refused", () => {
  const seedRule: SeedRule = { policy: "shared", roles: {} };
  const { cells } = expandTask(makeBody([2], 3), { seedRule, drawSeed: () => seedMax });
  assert.deepEqual([...cells].slice(0, 3).map(({ seed }) => seed), [seedMax - 2, seedMax - 1, seedMax]);
  assert.throws(
    () => expandTask(makeBody([2], 3), { seedRule: { policy: "pinned", seed: seedMax - 1, roles: {} } }),
    { code: "invalid_request" },
  );
});

Deno.test("fingerprints are equal for equal requests and null if each cell draws its own seed", async () => {
  await using rows = await openRows();
  const submit = async (policy: SeedRule["policy"], batch: number) => {
    const body = makeBody([2], batch);
    const values = [new Map([["value", "same"]]), new Map([["value", "same"]])];
    body.variables.set("v0", new Map<string, Json>([["name", "a0"], ["values", values]]));
    const seedRule: SeedRule = { policy, roles: {}, ...(policy === "pinned" ? { seed: 3 } : {}) };
    const { id } = await submitTask({ sql: rows.sql, log: silentLog }, {
      user: rows.user,
      taskName: "t",
      ...body,
      seedRule,
      blind: true,
    });
    return await rows.sql<{ fingerprint: string | null; seed: string }[]>`
      select fingerprint, seed::text from subtasks where parent_task_id = ${id} order by cell`;
  };
  const [a, b, c, d] = await submit("pinned", 2);
  assert.ok(a!.fingerprint);
  assert.deepEqual([a!.fingerprint, b!.fingerprint], [c!.fingerprint, d!.fingerprint]);
  assert.notEqual(a!.fingerprint, b!.fingerprint);
  assert.deepEqual((await submit("pinned", 2)).map(({ fingerprint }) => fingerprint).slice(0, 2), [
    a!.fingerprint,
    b!.fingerprint,
  ]);
  assert.deepEqual((await submit("per_cell", 1)).map(({ fingerprint }) => fingerprint), [null, null]);
});
