/** The recorded runs of the old backend: create requests, POSTs, notices and answers. */
import { type Json, JsonNumber, type JsonObject, parseJson, stringifyJson } from "../../../json.ts";

/** A recorded run. `detail` and `matrix` are missing if nothing was created. */
export interface Run {
  name: string;
  body: JsonObject;
  create: [status: number, answer: Json];
  creates: JsonObject[];
  hooks: JsonObject[];
  detail?: [status: number, answer: Json];
  matrix?: [status: number, answer: Json];
}

function readAnswer(value: Json | undefined): [number, Json] | undefined {
  if (!Array.isArray(value) || !(value[0] instanceof JsonNumber)) return undefined;
  return [value[0].value, value[1] ?? null];
}

function readRun(line: string): Run {
  const run = parseJson(line) as JsonObject;
  const detail = readAnswer(run.get("detail"));
  const matrix = readAnswer(run.get("matrix"));
  return {
    name: run.get("name") as string,
    body: run.get("body") as JsonObject,
    create: readAnswer(run.get("create"))!,
    creates: run.get("creates") as JsonObject[],
    hooks: run.get("hooks") as JsonObject[],
    ...(detail ? { detail } : {}),
    ...(matrix ? { matrix } : {}),
  };
}

/** Reads all 125 runs. */
export async function readRuns(): Promise<Run[]> {
  const text = await Deno.readTextFile(new URL("../../data/golden/runs.jsonl", import.meta.url));
  return text.split("\n").filter((line) => line !== "").map(readRun);
}

/** Names of runs that were answered with 500 and are now rejected before anything is stored. */
export const refusedNow = new Set(["name of the variable differs from the tag's", "concurrency text"]);

/** Returns the value at a path of keys and indices. */
export function at(value: Json | undefined, ...path: (string | number)[]): Json | undefined {
  let here = value;
  for (const step of path) {
    if (typeof step === "number") here = Array.isArray(here) ? here[step] : undefined;
    else here = here instanceof Map ? here.get(step) : undefined;
  }
  return here;
}

/** Returns the subtasks of a recorded detail in order. */
export const subtasksOf = (run: Run): JsonObject[] =>
  (at(run.detail?.[1], "data", "dramatiq_tasks") ?? []) as JsonObject[];

/** Returns a copy of an object with some values replaced. The order of keys stays. */
export function withFields(object: JsonObject, fields: Record<string, Json>): JsonObject {
  return new Map([...object].map(([key, value]) => [key, fields[key] === undefined ? value : fields[key]]));
}

/** Returns sorted JSON texts, for lists whose order is irrelevant. */
export const sorted = (values: Json[]): string[] => values.map(stringifyJson).sort();
