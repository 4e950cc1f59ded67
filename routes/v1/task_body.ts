/** Reads the body of `POST /tasks` as the old backend's pydantic model did. */
import { type Json, JsonNumber, type JsonObject } from "../../json.ts";
import { unparsableBody } from "./body.ts";
import { addNonFiniteFaults, Faults, readBodyObject, readList, readObject, readString } from "./pydantic.ts";
import { ValidationError } from "./http_error.ts";

export interface NewTaskInput {
  taskName: string;
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
}

/** Maximum nesting of containers in a task, which is that of a MongoDB document. */
const depthMax = 100;
const variablesMax = 6;
const valuesMax = 100;

function readText(body: JsonObject, name: string, faults: Faults): string | undefined {
  const value = body.get(name);
  return value === undefined
    ? faults.addMissing(["body", name], body)
    : readString(value, ["body", name], faults);
}

function readTags(body: JsonObject, faults: Faults): Json[] | undefined {
  const loc = ["body", "tags"];
  const value = body.get("tags");
  const tags = value === undefined ? [] : readList(value, loc, faults);
  if (!tags || value === undefined) return tags;
  const objects = tags.map((tag, index) => readObject(tag, [...loc, index], faults));
  if (objects.includes(undefined)) return undefined;
  return tags.length > 0 ? tags : faults.addValueError(loc, "标签不能为空", tags);
}

function readVariables(body: JsonObject, faults: Faults): JsonObject | undefined {
  const loc = ["body", "variables"];
  const variables = readObject(body.get("variables") ?? defaultObject(body, "variables"), loc, faults);
  if (!variables) return undefined;
  const faultsBefore = faults.list.length;
  const lists: [name: string, values: Json[]][] = [];
  for (const [key, value] of variables) {
    if (!/^v\d+$/.test(key)) continue;
    const variable = readObject(value, [...loc, key], faults);
    const values = variable?.has("values")
      ? readList(variable.get("values") ?? null, [...loc, key, "values"], faults)
      : [];
    const name = variable?.get("name");
    if (values && values.length > 0) lists.push([typeof name === "string" ? name : key, values]);
  }
  if (faults.list.length > faultsBefore) return undefined;
  if (lists.length > variablesMax) {
    return faults.addValueError(loc, `变量数量不能超过${variablesMax}个`, variables);
  }
  const long = lists.find(([, values]) => values.length > valuesMax);
  if (long) {
    return faults.addValueError(loc, `变量 "${long[0]}" 的值不能超过${valuesMax}个`, variables);
  }
  return variables;
}

function isDeeper(value: Json, levels: number): boolean {
  if (typeof value !== "object" || value === null || value instanceof JsonNumber) return false;
  if (levels === 0) return true;
  const items = Array.isArray(value) ? value : [...value.values()];
  return items.some((item) => isDeeper(item, levels - 1));
}

/**
 * Returns an empty object for an absent key, and null for an explicit null, which is reported as a fault.
 */
const defaultObject = (body: JsonObject, name: string): Json => body.has(name) ? null : new Map();

/**
 * Reads the body of a create call. `username` is checked but not used; unknown keys are ignored.
 *
 * @throws ValidationError with a fault for each field, in the order of the model
 * @throws HttpError 400 if the body is nested over 100 levels
 */
export function readNewTask(json: Json): NewTaskInput {
  const faults = new Faults();
  const body = readBodyObject(json, faults);
  if (!body) throw new ValidationError(faults.list);
  const taskName = readText(body, "task_name", faults);
  readText(body, "username", faults);
  const tags = readTags(body, faults);
  const variables = readVariables(body, faults);
  const settings = readObject(
    body.get("settings") ?? defaultObject(body, "settings"),
    ["body", "settings"],
    faults,
  );
  if (faults.list.length === 0) {
    if (isDeeper(body, depthMax)) throw unparsableBody();
    addNonFiniteFaults(tags ?? [], ["body", "tags"], faults);
    addNonFiniteFaults(variables ?? null, ["body", "variables"], faults);
    addNonFiniteFaults(settings ?? null, ["body", "settings"], faults);
  }
  if (faults.list.length > 0) throw new ValidationError(faults.list);
  return { taskName: taskName!, tags: tags!, variables: variables!, settings: settings! };
}
