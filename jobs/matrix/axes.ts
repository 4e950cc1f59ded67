/** The axes of a task's matrix, and the pairing of tags with variables. */
import { AppError, type FieldFault } from "../../errors.ts";
import { int, type Json, type JsonObject } from "../../json.ts";
import { equalityKey, isObject, isTruthy } from "./values.ts";

/** Slots of `variable_indices`: `v0` to `v5`. */
export const slotsMax = 6;

/** One variable: its slot (0 to 5), name and values. */
export interface Axis {
  slot: number;
  name: Json;
  values: Json[];
  /**
   * For each value, the index that `variable_indices` stores: that of the first equal value; null if it is no
   * object.
   */
  storedIndices: (number | null)[];
}

/** A tag with the variable that it refers to. */
export interface TagUse {
  type: string;
  tag: JsonObject;
  /** The variable that gives the tag its value; absent if the tag has its own value. */
  axis?: Axis;
}

function findFirstEqual(values: Json[]): (number | null)[] {
  const first = new Map<string, number>();
  return values.map((value, index) => {
    if (!isObject(value)) return null;
    const key = equalityKey(value.get("value"));
    const found = first.get(key) ?? index;
    first.set(key, found);
    return found;
  });
}

/** Parses the variables `v0` to `v5`, in the order of their keys. Other keys are ignored. */
export function parseVariables(variables: JsonObject): Axis[] {
  const axes: Axis[] = [];
  for (let slot = 0; slot < slotsMax; slot++) {
    const variable = variables.get(`v${slot}`);
    if (!isObject(variable)) continue;
    const given = variable.get("values");
    const values = Array.isArray(given) ? given : [];
    axes.push({ slot, name: variable.get("name") ?? "", values, storedIndices: findFirstEqual(values) });
  }
  return axes;
}

/** Returns the variables in their stored form: only `v0` to `v5`, each with its `values_count`. */
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

/** An empty name matches only a variable with values, because unused slots have empty names too. */
const matchesName = (axis: Axis, name: Json): boolean =>
  typeof name === "string" && axis.name === name && (name !== "" || axis.values.length > 0);

/**
 * Pairs each tag with its variable, by equal `name`.
 *
 * @throws AppError invalid_request for a tag that is no object, and for a variable tag without its variable
 */
export function readTags(tags: Json[], axes: Axis[]): TagUse[] {
  const faults: FieldFault[] = [];
  const uses: TagUse[] = [];
  tags.forEach((tag, index) => {
    if (!isObject(tag)) {
      faults.push({ field: `tags.${index}`, wanted: "an object" });
      return;
    }
    const given = tag.get("type");
    const type = typeof given === "string" ? given : "";
    if (!isTruthy(tag.get("isVariable"))) {
      uses.push({ type, tag });
      return;
    }
    const name = tag.get("name") ?? "";
    const axis = axes.find((candidate) => matchesName(candidate, name));
    if (axis) uses.push({ type, tag, axis });
    else {
      faults.push({
        field: `tags.${index}.name`,
        value: name,
        wanted: "the name of one of the variables",
      });
    }
  });
  if (faults.length > 0) {
    throw new AppError("invalid_request", "expanding the task: some tags cannot be read", { fields: faults });
  }
  return uses;
}
