/** GET /compare: the difference between two tasks on their shared units. */
import { z } from "@hono/zod-openapi";
import { invalidField } from "../kit/faults.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, jsonResponse } from "../kit/route.ts";
import { flipSigns, testMean, unitsMin } from "../../../statistics/mean_tests.ts";
import { compareSharedUnits, diffAxes, matchAxes } from "../../../statistics/task_comparison.ts";
import { estimateOut } from "./shapes.ts";
import { loadTaskDataset, type TaskDataset } from "./dataset.ts";
import type { DatasetCache } from "./dataset_cache.ts";
import { respondTagged } from "../kit/etag.ts";

const sideOut = z.object({
  task_id: z.uuid(),
  name: z.string(),
  revision: z.string(),
  ratings: z.int(),
  raters: z.int(),
  units_alone: z.int().openapi({ description: "Rated units that the other task has not rated" }),
  mean: z.number().nullable().openapi({ description: "Mean over shared units" }),
});

const settingOut = z.string().nullable().openapi({ description: "The value as JSON; null if not set" });

/** Number of shared units that an answer lists. */
const sharedMax = 200;

const compareOut = z.object({
  a: sideOut,
  b: sideOut,
  units: z.int().openapi({ description: "Content units that both tasks have rated" }),
  combinations: z.int().openapi({ description: "Combinations of equal values within those units" }),
  shared_raters: z.int(),
  shared: z.array(z.object({
    labels: z.array(z.string()).openapi({ description: "Its values on the axes that make the units" }),
    a: z.number(),
    b: z.number(),
    difference: z.number(),
  })).openapi({ description: `Means of the shared units, largest difference first, at most ${sharedMax}` }),
  difference: estimateOut.nullable().openapi({ description: "Mean of B − A over shared units" }),
  p: z.number().nullable(),
  p_sign_flip: z.number().nullable(),
  differs: z.object({
    settings: z.array(z.object({ key: z.string(), a: settingOut, b: settingOut })),
    fixed: z.array(z.object({ type: z.string(), a: z.array(z.string()), b: z.array(z.string()) }))
      .openapi({ description: "Tags without a variable, by type, that only one of the tasks has" }),
    axes: z.array(z.object({
      name: z.string(),
      type: z.string(),
      in: z.enum(["both", "a", "b"]),
      only_a: z.array(z.string()),
      only_b: z.array(z.string()),
    })),
    seed_policy: z.object({ a: z.string(), b: z.string() }).nullable(),
  }),
  warnings: z.array(z.object({ code: z.string(), text: z.string() })),
  method: z.string(),
}).openapi("Comparison");

const tasksPattern = /^[^,]{1,100},[^,]{1,100}$/u;

const readComparison = defineRoute({
  method: "get",
  path: "/compare",
  access: "signed_in",
  tags: ["statistics"],
  summary: "Compare two tasks on the units that both have rated",
  request: {
    query: z.object({
      tasks: z.string().regex(tasksPattern, "two ids, with a comma between")
        .openapi({
          description: "Ids of tasks A and B, which are different",
          pattern: tasksPattern.source,
          example: `${"0".repeat(8)}-…,${"1".repeat(8)}-…`,
        }),
    }),
  },
  responses: { 200: jsonResponse(compareOut, "B − A") },
  problems: ["not_found"],
});

const shownMax = 300;

/** Returns a value as JSON, shortened if it is long. */
function toShortJson(value: unknown): string | null {
  const text = value === undefined ? undefined : JSON.stringify(value);
  if (text === undefined) return null;
  return text.length <= shownMax ? text : `${text.slice(0, shownMax).replace(/[\ud800-\udbff]$/, "")}…`;
}

const entriesOf = (value: unknown): Map<string, unknown> =>
  new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);

function diffSettings(a: unknown, b: unknown) {
  const left = entriesOf(a);
  const right = entriesOf(b);
  return [...new Set([...left.keys(), ...right.keys()])].sort()
    .filter((key) => JSON.stringify(left.get(key)) !== JSON.stringify(right.get(key)))
    .map((key) => ({ key, a: toShortJson(left.get(key)), b: toShortJson(right.get(key)) }));
}

/** Groups tags with a fixed value by type, each as its value or name with its weight. */
function groupFixedTags(tags: unknown): Map<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const tag of Array.isArray(tags) ? tags : []) {
    const fields = entriesOf(tag);
    if (fields.get("isVariable")) continue;
    const type = String(fields.get("type") ?? "");
    const weight = fields.get("weight");
    const text = toShortJson(fields.get("value") ?? fields.get("name") ?? null) +
      (weight === undefined ? "" : ` × ${weight}`);
    lists.set(type, [...(lists.get(type) ?? []), text]);
  }
  return lists;
}

function diffFixedTags(a: unknown, b: unknown) {
  const left = groupFixedTags(a);
  const right = groupFixedTags(b);
  const without = (list: string[], other: string[]) => list.filter((text) => !other.includes(text));
  return [...new Set([...left.keys(), ...right.keys()])].sort().map((type) => ({
    type,
    a: without(left.get(type) ?? [], right.get(type) ?? []),
    b: without(right.get(type) ?? [], left.get(type) ?? []),
  })).filter((one) => one.a.length + one.b.length > 0);
}

const method =
  "A unit is a combination of content values, told by the values themselves. Raters are averaged in an " +
  "image, images in a combination of values that both tasks have, those in the unit; the difference is that of B − A " +
  `over shared units: Student's t at 95 % from ${unitsMin} units on, and sign flips.`;

function compare(a: TaskDataset, b: TaskDataset) {
  const pairs = matchAxes(a.axes, b.axes);
  const toSide = ({ axes, cellLevels, ratings }: TaskDataset) => ({ axes, cellLevels, ratings });
  const shared = compareSharedUnits(toSide(a), toSide(b), pairs);
  const differences = shared.units.map((unit) => unit.b - unit.a);
  const test = testMean(differences);
  const sharedRaters = a.ratings.raters.filter((rater) => b.ratings.raters.includes(rater)).length;
  const settings = diffSettings(a.task.settings, b.task.settings);
  const policies = { a: a.task.seed_policy, b: b.task.seed_policy };
  const n = differences.length;
  const warnings = [
    ...(n === 0 ? [{ code: "nothing_shared", text: "no unit is rated in both tasks" }] : []),
    ...(n > 0 && n < unitsMin
      ? [{ code: "few_units", text: `fewer than ${unitsMin} units: a point and no interval` }]
      : []),
    ...(n >= unitsMin && test?.low === null
      ? [{ code: "no_spread", text: "all units are alike: their spread tells no interval" }]
      : []),
    ...(n > 0 && sharedRaters < Math.max(a.ratings.raters.length, b.ratings.raters.length)
      ? [{ code: "other_raters", text: "the tasks have other raters: the difference is theirs too" }]
      : []),
  ];
  return {
    a: { units_alone: shared.onlyA, mean: n > 0 ? shared.a : null },
    b: { units_alone: shared.onlyB, mean: n > 0 ? shared.b : null },
    body: {
      units: n,
      combinations: shared.combinations,
      shared_raters: sharedRaters,
      shared: shared.units.map((unit, i) => ({ ...unit, difference: differences[i]! }))
        .sort((one, other) => Math.abs(other.difference) - Math.abs(one.difference)).slice(0, sharedMax),
      difference: test ? { value: test.value, low: test.low, high: test.high } : null,
      p: test?.p ?? null,
      p_sign_flip: test && test.p !== null ? flipSigns(differences, 2_000)?.p ?? null : null,
      differs: {
        settings,
        fixed: diffFixedTags(a.task.tags, b.task.tags),
        axes: diffAxes(a.axes, b.axes, pairs),
        seed_policy: policies.a === policies.b ? null : policies,
      },
      warnings,
      method,
    },
  };
}

export function addCompare(app: V2App, { datasets }: { datasets: DatasetCache }): void {
  app.openapi(readComparison, async (c) => {
    const [idA = "", idB = ""] = c.req.valid("query").tasks.split(",");
    if (idA === idB) {
      throw invalidField("query.tasks", `${idA},${idB}`, "two different tasks");
    }
    const a = await loadTaskDataset(c, datasets, idA);
    const b = await loadTaskDataset(c, datasets, idB);
    const { body, ...sides } = compare(a, b);
    const describe = (taskId: string, { task: { name }, revision, ratings }: TaskDataset) => ({
      task_id: taskId,
      name,
      revision,
      ratings: ratings.stars.length,
      raters: ratings.raters.length,
    });
    return await respondTagged(c, {
      a: { ...describe(idA, a), ...sides.a },
      b: { ...describe(idB, b), ...sides.b },
      ...body,
    });
  });
}
