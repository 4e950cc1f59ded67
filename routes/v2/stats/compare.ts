/** Two tasks against each other, on what they share. */
import { z } from "@hono/zod-openapi";
import { AppError } from "../../../errors.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, jsonAnswer } from "../kit/route.ts";
import { flipSigns, testMean, unitsMin } from "../../../statistics/paired.ts";
import { differAxes, pairAxes, shareUnits } from "../../../statistics/two_tasks.ts";
import { estimateOut } from "./shapes.ts";
import { loadSheet, type TaskSheet } from "./sheet.ts";
import { answerTagged } from "../kit/tag.ts";

const sideOut = z.object({
  task_id: z.uuid(),
  name: z.string(),
  revision: z.string(),
  ratings: z.int(),
  raters: z.int(),
  units_alone: z.int().openapi({ description: "Rated units that the other lacks" }),
  mean: z.number().nullable().openapi({ description: "Over shared units" }),
});

const given = z.string().nullable().openapi({ description: "As JSON; null where there is none" });

const compareOut = z.object({
  a: sideOut,
  b: sideOut,
  units: z.int().openapi({ description: "Content units that both have rated" }),
  combinations: z.int().openapi({ description: "Combinations of equal values in those" }),
  shared_raters: z.int(),
  difference: estimateOut.nullable().openapi({ description: "B − A, over shared units" }),
  p: z.number().nullable(),
  p_sign_flip: z.number().nullable(),
  differs: z.object({
    settings: z.array(z.object({ key: z.string(), a: given, b: given })),
    fixed: z.array(z.object({ type: z.string(), a: z.array(z.string()), b: z.array(z.string()) }))
      .openapi({ description: "Tags without a variable, by type, that one task alone has" }),
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

const readComparison = defineRoute({
  method: "get",
  path: "/compare",
  who: "signed_in",
  tags: ["statistics"],
  summary: "The difference between two tasks on the units that both have rated",
  request: {
    query: z.object({
      tasks: z.string().max(200).regex(/^[^,]+,[^,]+$/, "wanted two ids, with a comma between")
        .openapi({ description: "Two tasks: A, B", example: `${"0".repeat(8)}-…,${"1".repeat(8)}-…` }),
    }),
  },
  responses: { 200: jsonAnswer(compareOut, "B − A") },
  problems: ["not_found"],
});

const shownMax = 300;

/** Values as JSON; long ones cut. */
function show(value: unknown): string | null {
  const text = value === undefined ? undefined : JSON.stringify(value);
  if (text === undefined) return null;
  return text.length <= shownMax ? text : `${text.slice(0, shownMax).replace(/[\ud800-\udbff]$/, "")}…`;
}

const entriesOf = (value: unknown): Map<string, unknown> =>
  new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);

function differSettings(a: unknown, b: unknown) {
  const left = entriesOf(a);
  const right = entriesOf(b);
  return [...new Set([...left.keys(), ...right.keys()])].sort()
    .filter((key) => JSON.stringify(left.get(key)) !== JSON.stringify(right.get(key)))
    .map((key) => ({ key, a: show(left.get(key)), b: show(right.get(key)) }));
}

/** Tags with a value of their own by type, each as its name or value with its weight. */
function listFixed(tags: unknown): Map<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const tag of Array.isArray(tags) ? tags : []) {
    const said = entriesOf(tag);
    if (said.get("isVariable")) continue;
    const type = String(said.get("type") ?? "");
    const weight = said.get("weight");
    const text = show(said.get("value") ?? said.get("name") ?? null) +
      (weight === undefined ? "" : ` × ${weight}`);
    lists.set(type, [...(lists.get(type) ?? []), text]);
  }
  return lists;
}

function differFixed(a: unknown, b: unknown) {
  const left = listFixed(a);
  const right = listFixed(b);
  const without = (one: string[], other: string[]) => one.filter((text) => !other.includes(text));
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

function compare(a: TaskSheet, b: TaskSheet) {
  const pairs = pairAxes(a.axes, b.axes);
  const [left, right] = [a, b].map(({ axes, places, sheet }) => ({ axes, places, ratings: sheet }));
  const shared = shareUnits(left!, right!, pairs);
  const test = testMean(shared.differences);
  const raters = a.sheet.raters.filter((rater) => b.sheet.raters.includes(rater)).length;
  const settings = differSettings(a.task.settings, b.task.settings);
  const policies = { a: a.task.seed_policy, b: b.task.seed_policy };
  const n = shared.differences.length;
  const warnings = [
    ...(n === 0 ? [{ code: "nothing_shared", text: "no unit is rated in both tasks" }] : []),
    ...(n > 0 && n < unitsMin
      ? [{ code: "few_units", text: `fewer than ${unitsMin} units: a point and no interval` }]
      : []),
    ...(n >= unitsMin && test?.low === null
      ? [{ code: "no_spread", text: "all units are alike: their spread tells no interval" }]
      : []),
    ...(n > 0 && raters < Math.max(a.sheet.raters.length, b.sheet.raters.length)
      ? [{ code: "other_raters", text: "the tasks have other raters: the difference is theirs too" }]
      : []),
  ];
  return {
    sides: [shared.a, shared.b].map((mean) => n > 0 ? mean : null),
    alone: [shared.onlyA, shared.onlyB],
    body: {
      units: n,
      combinations: shared.combinations,
      shared_raters: raters,
      difference: test ? { value: test.value, low: test.low, high: test.high } : null,
      p: test?.p ?? null,
      p_sign_flip: test && test.p !== null ? flipSigns(shared.differences, 2_000)?.p ?? null : null,
      differs: {
        settings,
        fixed: differFixed(a.task.tags, b.task.tags),
        axes: differAxes(a.axes, b.axes, pairs),
        seed_policy: policies.a === policies.b ? null : policies,
      },
      warnings,
      method,
    },
  };
}

export function addCompare(app: V2App): void {
  app.openapi(readComparison, async (c) => {
    const [idA = "", idB = ""] = c.req.valid("query").tasks.split(",");
    if (idA === idB) {
      throw new AppError("invalid_request", "reading the request: faulty query.tasks", {
        fields: [{ field: "query.tasks", value: idA.slice(0, 100), wanted: "two different tasks" }],
      });
    }
    const a = await loadSheet(c, idA, { ratings: true });
    const b = await loadSheet(c, idB, { ratings: true });
    const { sides, alone, body } = compare(a, b);
    const [left, right] = [a, b].map(({ task: { name, revision }, sheet }, i) => ({
      task_id: [idA, idB][i]!,
      name,
      revision,
      ratings: sheet.stars.length,
      raters: sheet.raters.length,
      units_alone: alone[i]!,
      mean: sides[i]!,
    }));
    return await answerTagged(c, { a: left, b: right, ...body }) as never;
  });
}
