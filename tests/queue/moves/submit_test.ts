/** The stored rows of a submitted task and its cells. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { expandTask } from "../../../jobs/matrix/expand.ts";
import { spreadCells } from "../../../jobs/matrix/spread.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { listDispatchable } from "../../../db/queue/dispatch.ts";
import { openRows, readTask } from "../../support/queue_rig.ts";

Deno.test("spreadCells() ranks each cell once, and the first cells, as many as the longest axis has levels, contain every level", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 0, maxLength: 5 })
    .filter((all) => all.reduce((product, length) => product * length, 1) <= 20_000);
  fc.assert(fc.property(lengths, (all) => {
    const ranks = spreadCells(all);
    const order = new Uint32Array(ranks.length);
    ranks.forEach((rank, cell) => order[rank] = cell);
    assert.equal(new Set(ranks).size, ranks.length);
    const seen = all.map(() => new Set<number>());
    for (const cell of order.slice(0, Math.max(1, ...all))) {
      let rest = cell;
      for (let i = all.length - 1; i >= 0; i--) {
        seen[i]!.add(rest % all[i]!);
        rest = Math.floor(rest / all[i]!);
      }
    }
    assert.deepEqual(seen.map(({ size }) => size), all);
  }));
});

Deno.test("the first two percent of a 42 × 24 × 3 matrix contain every level of every axis", () => {
  const ranks = spreadCells([42, 24, 3]);
  const early = [...ranks.keys()].filter((cell) => ranks[cell]! < 0.02 * ranks.length);
  assert.equal(new Set(early.map((cell) => Math.floor(cell / 72))).size, 42);
  assert.equal(new Set(early.map((cell) => Math.floor(cell / 3) % 24)).size, 24);
  assert.equal(new Set(early.map((cell) => cell % 3)).size, 3);
});

Deno.test("a task and its cells are stored together, and legacy ids follow the matrix order", async () => {
  await using rows = await openRows();
  const task = await rows.submit(["a", "b", "c"], [1, 2, 3, 4]);
  const cells = await rows.sql<
    { cell: number; indices: string; seed: string; spread: number; legacy_id: string }[]
  >`
    select cell, variable_indices::text as indices, seed::text, spread, legacy_id from subtasks
    where parent_task_id = ${task} order by legacy_id`;
  assert.deepEqual(cells.map(({ cell }) => cell), [...Array(12).keys()]);
  assert.deepEqual(cells.map(({ indices }) => indices).slice(0, 5), [
    ...["{0,0,NULL,NULL,NULL,NULL}", "{0,1,NULL,NULL,NULL,NULL}", "{0,2,NULL,NULL,NULL,NULL}"],
    ...["{0,3,NULL,NULL,NULL,NULL}", "{1,0,NULL,NULL,NULL,NULL}"],
  ]);
  assert.deepEqual(cells.map(({ seed }) => seed).slice(0, 4), ["1", "2", "3", "4"]);
  assert.equal(new Set(cells.map(({ legacy_id }) => legacy_id.slice(0, 18))).size, 1);
  const seconds = parseInt(cells[0]!.legacy_id.slice(0, 8), 16);
  assert.ok(Math.abs(seconds - Date.now() / 1000) < 60);
  const refs = await listDispatchable(rows.sql, "standard", 4);
  const ids = refs.map(({ id }) => id);
  const first = await rows.sql<{ cell: number }[]>`
    select cell
    from subtasks join unnest(${ids}::uuid[]) with ordinality as r (id, rank) using (id)
    order by rank`;
  assert.deepEqual(first.map(({ cell }) => cell), [0, 5, 10, 3]);
  assert.deepEqual((await readTask(rows.sql, task)).notices, ["submitted"]);
});

const parse = (text: string) => parseJson(text) as Json;

Deno.test("client JSON is stored unchanged: key order, 1.0, long integers, lone surrogates, NUL", async () => {
  await using rows = await openRows();
  const tags = parse(
    '[{"type":"prompt","value":"\\ud800 \\u0000 \\u001e","weight":1.0,"9":1,"1":12345678901234567890}]',
  );
  const settings = parse('{"b":1.50,"a":{"10":1,"2":2}}') as JsonObject;
  const { id, total_images } = await submitTask({ sql: rows.sql, log: silentLog }, {
    user: rows.user,
    taskName: "t",
    tags: tags as Json[],
    variables: new Map(),
    settings,
  });
  assert.equal(total_images, 1);
  const [task] = await rows.sql<{ tags: string; settings: string }[]>`
    select tags::text, settings::text from tasks where id = ${id}`;
  assert.deepEqual(parse(task!.tags), tags);
  assert.deepEqual(parse(task!.settings), settings);
  const [cell] = await rows.sql<{ prompts: string }[]>`
    select prompts::text from subtasks where parent_task_id = ${id}`;
  assert.deepEqual(
    parse(cell!.prompts),
    parse('[{"type":"freetext","weight":1.0,"value":"\\ud800 \\u0000 \\u001e"}]'),
  );
});

const tagTypes = ["prompt", "character", "element", "ratio", "seed", "polish"];
const anyText = fc.constantFrom(
  "",
  "a cat",
  "x, y",
  "16:9",
  "7",
  "true",
  "lumina",
  "\u0000",
  "\ud800",
  '"',
  "\\",
);

/** Bodies with up to three variables, fixed tags, and tags that share a variable. */
const bodies = fc.record({
  lengths: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  texts: fc.array(anyText, { minLength: 12, maxLength: 12 }),
  uses: fc.array(fc.record({ type: fc.constantFrom(...tagTypes), slot: fc.integer({ min: -1, max: 2 }) }), {
    minLength: 1,
    maxLength: 8,
  }),
  repeats: fc.integer({ min: 1, max: 3 }),
}).map(({ lengths, texts, uses, repeats }) => {
  const values = lengths.map((length, slot) =>
    Array.from({ length }, (_, i) => ({ id: `${slot}-${i}`, value: texts[(slot * 4 + i) % 12] }))
  );
  const tags = uses.map(({ type, slot }, i) =>
    slot >= 0 && slot < lengths.length
      ? { type, isVariable: true, name: `axis${slot}` }
      : { type, value: texts[i] }
  );
  return {
    tags: [...tags, { type: "batch", value: String(repeats) }],
    variables: Object.fromEntries(
      values.map((all, slot) => [`v${slot}`, { name: `axis${slot}`, values: all }]),
    ),
  };
});

Deno.test("the stored cells of any body equal those of its expansion", async () => {
  await using rows = await openRows();
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      const parsed = parse(JSON.stringify(body)) as JsonObject;
      const input = {
        tags: parsed.get("tags") as Json[],
        variables: parsed.get("variables") as JsonObject,
        settings: new Map(),
      };
      const wanted = [...expandTask(input).cells];
      const task = await submitTask({ sql: rows.sql, log: silentLog }, {
        user: rows.user,
        taskName: "t",
        ...input,
      });
      const stored = await rows.sql`
        select prompts::text, ratio, use_polish, queue, client_args::text, cell,
          array_to_json(variable_indices)::text as indices
        from subtasks where parent_task_id = ${task.id} order by legacy_id`;
      assert.deepEqual(
        stored.map((row) => ({ ...row })),
        wanted.map(({ prompts, ratio, use_polish, queue, client_args, cell, variable_indices }) => ({
          prompts,
          ratio,
          use_polish,
          queue,
          client_args,
          cell,
          indices: JSON.stringify(variable_indices),
        })),
      );
    }),
    { numRuns: 150 },
  );
});

Deno.test("hundreds of prompts of one task form one list in their order", async () => {
  await using rows = await openRows();
  const tags = Array.from({ length: 230 }, (_, i) => ({ type: "prompt", value: i % 7 === 0 ? "" : `p${i}` }));
  const { id } = await submitTask({ sql: rows.sql, log: silentLog }, {
    user: rows.user,
    taskName: "t",
    variables: new Map(),
    settings: new Map(),
    tags: parse(JSON.stringify(tags)) as Json[],
  });
  const [cell] = await rows.sql<{ prompts: { value: string }[] }[]>`
    select prompts from subtasks where parent_task_id = ${id}`;
  assert.deepEqual(
    cell!.prompts.map(({ value }) => value),
    tags.map(({ value }) => value).filter((value) => value !== ""),
  );
});

Deno.test("submitTask() returns the stored row; batch repeats count in total_images, but not in images_expected", async () => {
  await using rows = await openRows();
  const tags = parse('[{"type":"prompt","value":"p"},{"type":"batch","value":"3"}]') as Json[];
  const task = await submitTask({ sql: rows.sql, log: silentLog }, {
    user: rows.user,
    taskName: "t",
    tags,
    variables: new Map(),
    settings: new Map(),
  });
  const { images_expected, ...row } = task;
  assert.equal(images_expected, 1);
  assert.equal(row.total_images, 3);
  const [stored] = await rows.sql`select * from tasks`;
  for (const [name, value] of Object.entries(row)) assert.deepEqual(value, stored![name], name);
  const [counts] = await rows.sql`
    select total_images, subtasks_total, (select count(*)::int from subtasks) as cells from tasks`;
  assert.deepEqual({ ...counts }, { total_images: 3, subtasks_total: 3, cells: 3 });
});

Deno.test("a task that cannot be expanded stores nothing", async () => {
  await using rows = await openRows();
  const tags = parse('[{"type":"prompt","isVariable":true,"name":"gone"}]') as Json[];
  await assert.rejects(
    submitTask({ sql: rows.sql, log: silentLog }, {
      user: rows.user,
      taskName: "t",
      tags,
      variables: new Map(),
      settings: new Map(),
    }),
    { code: "invalid_request" },
  );
  assert.equal((await rows.sql`select from tasks`).length, 0);
});

Deno.test("dispatch is fair: cells of a second user come at once, and the tasks of a user take turns", async () => {
  await using rows = await openRows();
  const many = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name}${i}`);
  const big = await rows.submit(many(90, "p"), many(20, "").map((_, i) => i + 1));
  const small = await rows.submit(many(5, "q"));
  await rows.sql`insert into users (email, hashed_password) values ('other@x', 'x')`;
  const third = await rows.submit(many(50, "r"));
  await rows
    .sql`update tasks set owner_id = (select id from users where email = 'other@x') where id = ${third}`;
  const count = (refs: { task_id: string }[], task: string) =>
    refs.filter(({ task_id }) => task_id === task).length;
  const refs = await listDispatchable(rows.sql, "standard", 20);
  assert.deepEqual([count(refs, big), count(refs, small), count(refs, third)], [5, 5, 10]);
  await rows.sql`update tasks set priority = 5 where id = ${small}`;
  assert.equal(count(await listDispatchable(rows.sql, "standard", 5), small), 5);
});
