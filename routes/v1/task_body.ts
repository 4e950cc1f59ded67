/** The body of `POST /tasks`, as the old backend's model read it. */
import { type Json, JsonNumber, type JsonObject } from "../../json.ts";
import { parseRefusal } from "./body.ts";
import { Faults, findNonFinite, readBody, readList, readObject, readString } from "./pydantic.ts";
import { Rejection } from "./refusal.ts";

export interface NewTaskBody {
  taskName: string;
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
}

/** Containers within each other in a task: no deeper document could be stored. */
const depthMax = 100;
const variablesMax = 6;
const valuesMax = 100;

function readText(body: JsonObject, name: string, faults: Faults): string | undefined {
  const given = body.get(name);
  return given === undefined
    ? faults.addMissing(["body", name], body)
    : readString(given, ["body", name], faults);
}

function readTags(body: JsonObject, faults: Faults): Json[] | undefined {
  const loc = ["body", "tags"];
  const given = body.get("tags");
  const tags = given === undefined ? [] : readList(given, loc, faults);
  if (!tags || given === undefined) return tags;
  const objects = tags.map((tag, index) => readObject(tag, [...loc, index], faults));
  if (objects.includes(undefined)) return undefined;
  return tags.length > 0 ? tags : faults.addValueError(loc, "标签不能为空", tags);
}

function readVariables(body: JsonObject, faults: Faults): JsonObject | undefined {
  const loc = ["body", "variables"];
  const variables = readObject(body.get("variables") ?? noneOf(body, "variables"), loc, faults);
  if (!variables) return undefined;
  const before = faults.list.length;
  const lists: [name: string, values: Json[]][] = [];
  for (const [key, given] of variables) {
    if (!/^v\d+$/.test(key)) continue;
    const variable = readObject(given, [...loc, key], faults);
    const values = variable?.has("values")
      ? readList(variable.get("values") ?? null, [...loc, key, "values"], faults)
      : [];
    const name = variable?.get("name");
    if (values && values.length > 0) lists.push([typeof name === "string" ? name : key, values]);
  }
  if (faults.list.length > before) return undefined;
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

/** What an absent object stands for: an empty one; a null is refused as what it is. */
const noneOf = (body: JsonObject, name: string): Json => body.has(name) ? null : new Map();

/**
 * Reads the body of a create call; other keys, `username` among them, are checked or ignored but never used.
 *
 * @throws Rejection with a fault for each field, in the order of the model; Refusal 400 nested over 100 levels
 */
export function readNewTask(given: Json): NewTaskBody {
  const faults = new Faults();
  const body = readBody(given, faults);
  if (!body) throw new Rejection(faults.list);
  const taskName = readText(body, "task_name", faults);
  readText(body, "username", faults);
  const tags = readTags(body, faults);
  const variables = readVariables(body, faults);
  const settings = readObject(body.get("settings") ?? noneOf(body, "settings"), ["body", "settings"], faults);
  if (faults.list.length === 0) {
    if (isDeeper(body, depthMax)) throw parseRefusal();
    findNonFinite(tags ?? [], ["body", "tags"], faults);
    findNonFinite(variables ?? null, ["body", "variables"], faults);
    findNonFinite(settings ?? null, ["body", "settings"], faults);
  }
  if (faults.list.length > 0) throw new Rejection(faults.list);
  return { taskName: taskName!, tags: tags!, variables: variables!, settings: settings! };
}
