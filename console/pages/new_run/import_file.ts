/** Reads a configuration file: of the old frontend, of v2's export of a run, or a document of the old database. */
import type { RunInput } from "./body.ts";

/** Why a file cannot be used. */
export type ImportFault = "not_json" | "no_tags" | "too_large";

const bytesMax = 4 * 1024 * 1024;

type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Keeps whole numbers beyond 2^53, such as seeds, as text. */
function keepLongNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  const isLong = typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined &&
    /^-?\d+$/.test(source);
  return isLong ? source : value;
}

/** Finds the object with tags, also inside an answer of the API or the first document of a list. */
function findConfiguration(value: unknown, depth = 0): JsonObject | undefined {
  if (Array.isArray(value)) return depth < 3 ? findConfiguration(value[0], depth + 1) : undefined;
  if (!isObject(value)) return undefined;
  if (Array.isArray(value.tags) && value.tags.length > 0) return value;
  const inner = [value.data, value.config, value.task, value.order].find(isObject);
  return inner && depth < 3 ? findConfiguration(inner, depth + 1) : undefined;
}

/** Parses the text of a file. */
export function parseConfiguration(text: string): RunInput | ImportFault {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text, keepLongNumbers as Parameters<typeof JSON.parse>[1]);
  } catch {
    return "not_json";
  }
  const found = findConfiguration(parsed);
  if (!found) return "no_tags";
  const { axis_roles, seed_policy, seed, blind } = found;
  return {
    name: String(found.name ?? found.task_name ?? ""),
    tags: found.tags as unknown[],
    variables: isObject(found.variables) ? found.variables : {},
    settings: isObject(found.settings) ? found.settings : {},
    ...(isObject(axis_roles) ? { axis_roles } : {}),
    ...(typeof seed_policy === "string" ? { seed_policy } : {}),
    ...(typeof seed === "number" ? { seed } : {}),
    ...(typeof blind === "boolean" ? { blind } : {}),
  };
}

/** Reads a file that the person chose. */
export async function readConfiguration(file: File): Promise<RunInput | ImportFault> {
  return file.size > bytesMax ? "too_large" : parseConfiguration(await file.text());
}
