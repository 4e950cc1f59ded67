/** The axes of a task's matrix: which variables have values, and which variable a tag stands for. */
import { AppError, type FieldFault } from "../../errors.ts";
import { int, type Json, type JsonObject } from "../../json.ts";
import { equalityKey, isObject, isTruthy } from "./values.ts";

/** Slots of `variable_indices`: `v0` to `v5`. */
export const slotsMax = 6;

/** One variable: its slot (0 to 5), its values, and what `variable_indices` holds for each of them. */
export interface Axis {
  slot: number;
  name: Json;
  values: Json[];
  /** The place of the first equal value; null for a value that is no object. */
  indices: (number | null)[];
}

/** A tag as the expansion reads it. */
export interface TagUse {
  type: string;
  tag: JsonObject;
  /** The variable that gives the tag its value; absent for a tag with a value of its own. */
  axis?: Axis;
}

function findFirstEqual(values: Json[]): (number | null)[] {
  const first = new Map<string, number>();
  return values.map((value, place) => {
    if (!isObject(value)) return null;
    const key = equalityKey(value.get("value"));
    const found = first.get(key) ?? place;
    first.set(key, found);
    return found;
  });
}

/** The variables `v0` to `v5` in the order of their keys; other keys are no variables. */
export function readAxes(variables: JsonObject): Axis[] {
  const axes: Axis[] = [];
  for (let slot = 0; slot < slotsMax; slot++) {
    const variable = variables.get(`v${slot}`);
    if (!isObject(variable)) continue;
    const given = variable.get("values");
    const values = Array.isArray(given) ? given : [];
    axes.push({ slot, name: variable.get("name") ?? "", values, indices: findFirstEqual(values) });
  }
  return axes;
}

/** The variables as they are stored: only `v0` to `v5`, each with its `values_count`. */
export function storeVariables(variables: JsonObject): JsonObject {
  const stored: JsonObject = new Map();
  for (const [key, variable] of variables) {
    if (!/^v[0-5]$/.test(key)) continue;
    if (!isObject(variable)) {
      stored.set(key, variable);
      continue;
    }
    const values = variable.get("values");
    stored.set(key, new Map(variable).set("values_count", int(Array.isArray(values) ? values.length : 0)));
  }
  return stored;
}

/** A name that says nothing finds only a variable that has values: unused slots have empty names too. */
const meets = (axis: Axis, name: Json): boolean =>
  typeof name === "string" && axis.name === name && (name !== "" || axis.values.length > 0);

/**
 * Pairs each tag with its variable, by equal `name`.
 *
 * @throws AppError invalid_request: a tag that is no object, or a variable tag without its variable
 */
export function readTags(tags: Json[], axes: Axis[]): TagUse[] {
  const faults: FieldFault[] = [];
  const uses: TagUse[] = [];
  tags.forEach((tag, place) => {
    if (!isObject(tag)) {
      faults.push({ field: `tags.${place}`, wanted: "an object" });
      return;
    }
    const given = tag.get("type");
    const type = typeof given === "string" ? given : "";
    if (!isTruthy(tag.get("isVariable"))) {
      uses.push({ type, tag });
      return;
    }
    const name = tag.get("name") ?? "";
    const axis = axes.find((candidate) => meets(candidate, name));
    if (axis) uses.push({ type, tag, axis });
    else {
      faults.push({
        field: `tags.${place}.name`,
        value: typeof name === "string" ? name : String(name),
        wanted: "the name of one of the variables",
      });
    }
  });
  if (faults.length > 0) {
    throw new AppError("invalid_request", "expanding the task: some tags cannot be read", { fields: faults });
  }
  return uses;
}
