/** Request bodies that describe a task. Tags, variables and settings are stored as the client sent them. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { axisRoles, seedMax, seedPolicies } from "../../../db/queue/task_fields.ts";
import { AppError, type FieldFault } from "../../../errors.ts";
import { type Json, JsonLimitError, JsonNumber, type JsonObject, parseJson } from "../../../json.ts";
import type { TaskInput } from "../../../jobs/moves/submit.ts";
import { invalidFields } from "../kit/faults.ts";
import { isAdmin } from "../kit/principal.ts";
import type { V2Env } from "../kit/context.ts";
import { textSchema } from "../kit/texts.ts";

/** Maximum number of values of a variable. */
const valuesMax = 1000;
/** Maximum number of JSON values in a body. */
const jsonValuesMax = 100_000;
const priorityMax = 10;

export const nameIn = textSchema(500);
export const clientObject = z.record(z.string(), z.unknown());
const axisKeys = ["v0", "v1", "v2", "v3", "v4", "v5"] as const;
const roleIn = z.enum(axisRoles).optional();
export const rolesIn = z.strictObject(
  Object.fromEntries(axisKeys.map((key) => [key, roleIn])) as Record<typeof axisKeys[number], typeof roleIn>,
).openapi({ description: "Role of each axis that has values. An axis without one counts as a treatment" });

/** A variable in the OpenAPI document. `checkTaskInput` enforces it. */
const variableSchema = {
  type: "object" as const,
  properties: { name: {}, values: { type: ["array" as const, "null" as const], maxItems: valuesMax } },
  additionalProperties: {},
};

/** In the OpenAPI document: a role needs a variable with values. `checkTaskInput` enforces it. */
const roleRules = axisKeys.map((key) => ({
  if: { required: ["axis_roles"], properties: { axis_roles: { required: [key] } } },
  then: {
    required: ["variables"],
    properties: {
      variables: {
        required: [key],
        properties: {
          [key]: { required: ["values"], properties: { values: { type: "array" as const, minItems: 1 } } },
        },
      },
    },
  },
}));

/** In the OpenAPI document: only the policy `pinned` takes a seed. `checkSeed` enforces it. */
const seedRule = {
  if: { required: ["seed_policy"], properties: { seed_policy: { const: "pinned" } } },
  then: { required: ["seed"] },
  else: { not: { required: ["seed"] } },
};
/** Rules between fields, in JSON Schema. */
const taskRules = { allOf: [seedRule, ...roleRules] } as object;

export const priorityIn = z.int().min(1).max(priorityMax)
  .openapi({
    description: "Above 1 the task uses the queue `high`, which only admins and managers may request",
  });

export const inputFields = {
  tags: z.array(clientObject).min(1).max(1000)
    .openapi({
      description:
        "As in v1: `type`, and either `value` or `isVariable` with the `name` of a variable. A seed has at most 64 bits",
    }),
  variables: clientObject.openapi({
    description:
      "`v0` to `v5`, each with `name` and `values`. Stored as given. A task has at most 50,000 cells",
    properties: Object.fromEntries(axisKeys.map((key) => [key, variableSchema])),
    additionalProperties: false,
  }),
  settings: clientObject.openapi({ properties: { concurrency: { type: ["number", "boolean"] } } }),
  seed_policy: z.enum(seedPolicies).openapi({
    description:
      "Seeds of cells whose tags give none. `shared`: one seed for the task. `per_combination`: one for each " +
      "combination of the content axes. `pinned`: the given `seed`. These policies add the number of the replicate. " +
      "`per_cell`: a seed for each cell",
  }),
  seed: z.int().min(0).max(seedMax).openapi({
    description:
      "Seed of the policy `pinned`, which no other policy takes. Together with the replicates it stays within the maximum",
  }),
  axis_roles: rolesIn,
  blind: z.boolean().openapi({
    description: "Hide others' ratings of an image until one has rated it",
  }),
  priority: priorityIn,
};

/** Returns what is wanted instead of a seed that does not match its policy; undefined if it matches. */
export function findSeedFault(policy: string | undefined, seed: number | undefined): string | undefined {
  if ((policy === "pinned") === (seed !== undefined)) return undefined;
  return seed === undefined
    ? `a seed from 0 to ${seedMax}, as seed_policy is pinned`
    : "to be left out, as seed_policy is not pinned";
}

function checkSeed(
  { seed_policy, seed }: { seed_policy: string; seed?: number | undefined },
  ctx: z.core.$RefinementCtx,
): void {
  const message = findSeedFault(seed_policy, seed);
  if (message !== undefined) ctx.addIssue({ code: "custom", message, path: ["seed"] });
}

const { tags, variables, settings, seed_policy, seed, axis_roles, blind, priority } = inputFields;
const withDefaults = {
  tags,
  variables: variables.default({}),
  settings: settings.default({}),
  seed_policy: seed_policy.default("shared"),
  seed: seed.optional(),
  axis_roles: axis_roles.default({}),
  blind: blind.default(false),
  priority: priority.default(1),
};
export const taskIn = z.strictObject({ name: nameIn, ...withDefaults }).superRefine(checkSeed)
  .openapi("TaskIn", taskRules);
export const planIn = z.strictObject({ name: nameIn.optional(), ...withDefaults })
  .superRefine(checkSeed).openapi("TaskPlanIn", taskRules);

const optional = <S extends z.ZodType>(schema: S) => schema.optional();
export const cloneIn = z.strictObject({
  name: nameIn.optional(),
  tags: optional(tags),
  variables: optional(variables),
  settings: optional(settings),
  seed_policy: optional(seed_policy),
  seed: optional(seed),
  axis_roles: optional(axis_roles),
  blind: optional(blind),
  priority: optional(priority),
}).openapi("TaskCloneIn", {
  description:
    "After the merge, `seed` and `axis_roles` follow the rules of `TaskIn`. `seed` alone implies `pinned`",
});

const refuse = (faults: FieldFault[]): AppError => invalidFields(faults);

/** Runs `work` and prefixes the field names in its errors with `body`, where the client knows them. */
export async function withBodyFieldNames<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "invalid_request") throw error;
    const fields = error.fields.map(({ field, ...fault }) => ({
      field: /^(body|query|path)\b/.test(field) ? field : `body.${field}`,
      ...fault,
    }));
    throw new AppError(error.code, error.message, { fields, cause: error });
  }
}

function findNonFinite(value: Json, path: string): FieldFault | undefined {
  if (value instanceof JsonNumber) {
    return value.isFinite ? undefined : { field: path, value, wanted: "a finite number" };
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, item] of value.entries()) {
    const fault = findNonFinite(item, `${path}.${key}`);
    if (fault) return fault;
  }
}

/**
 * Parses the body again without loss: key order, `1.0` and long integers stay as sent. The schema has
 * accepted it.
 */
export async function readClientJson(c: Context<V2Env>): Promise<JsonObject> {
  try {
    return parseJson(await c.req.text(), 100, jsonValuesMax) as JsonObject;
  } catch (error) {
    if (error instanceof JsonLimitError) {
      throw new AppError("invalid_request", `reading the body: ${error.message}`);
    }
    throw error;
  }
}

/**
 * Checks what the schema cannot express: the variables, roles that need values, and non-finite numbers.
 */
export function checkTaskInput(
  { tags, variables, settings }: Pick<TaskInput, "tags" | "variables" | "settings">,
  roles: Record<string, unknown>,
): void {
  const faults: FieldFault[] = [];
  for (const [key, variable] of variables) {
    const field = `body.variables.${key.slice(0, 50)}`;
    if (!/^v[0-5]$/.test(key)) {
      faults.push({ field, wanted: "no other keys than v0 to v5" });
      continue;
    }
    const values = variable instanceof Map ? variable.get("values") ?? [] : undefined;
    if (!Array.isArray(values)) faults.push({ field, wanted: "an object with a list of values" });
    else if (values.length > valuesMax) {
      const wanted = `at most ${valuesMax} values; it has ${values.length}`;
      faults.push({ field: `${field}.values`, wanted });
    }
  }
  for (const [key, role] of Object.entries(roles)) {
    const variable = variables.get(key);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    if (!Array.isArray(values) || values.length === 0) {
      faults.push({ field: `body.axis_roles.${key}`, value: role, wanted: "a variable with values" });
    }
  }
  for (const [name, value] of Object.entries({ tags, variables, settings })) {
    const fault = findNonFinite(value, `body.${name}`);
    if (fault) faults.push(fault);
  }
  if (faults.length > 0) throw refuse(faults.slice(0, 50));
}

/** Checks the permission for a priority above 1. @throws AppError forbidden */
export function checkPriority(c: Context<V2Env>, priority: number, before = 1): void {
  const { principal } = c.var;
  const isStaff = isAdmin(principal) || principal.kind === "user" && principal.roles.includes("manager");
  if (priority > 1 && priority !== before && !isStaff) {
    throw new AppError("forbidden", `giving a task priority ${priority}: over 1 is for admins and managers`);
  }
}

const object = (value: Json | undefined): JsonObject => value instanceof Map ? value : new Map();

/** Parses a body of `taskIn` or `planIn`. @throws AppError invalid_request, forbidden */
export async function parseTaskInput(
  c: Context<V2Env>,
  fields: z.infer<typeof planIn>,
): Promise<Omit<TaskInput, "user">> {
  const body = await readClientJson(c);
  const roles = dropUndefined(fields.axis_roles);
  const input = {
    taskName: fields.name ?? "",
    tags: body.get("tags") as Json[],
    variables: object(body.get("variables")),
    settings: object(body.get("settings")),
  };
  checkTaskInput(input, roles);
  checkPriority(c, fields.priority);
  const { seed_policy: policy, seed, blind, priority } = fields;
  return { ...input, blind, priority, seedRule: { policy, roles, ...(seed === undefined ? {} : { seed }) } };
}

/** Removes entries without a role. */
export const dropUndefined = <T>(roles: Record<string, T | undefined>): Record<string, T> =>
  Object.fromEntries(Object.entries(roles).filter(([, role]) => role !== undefined)) as Record<string, T>;
