/** The objects that a difference is about: their ids, and the time of their last change. */
import type { Json } from "../json.ts";
import { type Answer, valueAt } from "./answer.ts";
import type { Difference } from "./compare.ts";
import { type Exchange, fieldOf } from "./exchange.ts";
import { unquote } from "./paths.ts";

const idFields = ["id", "_id", "task_id", "parent_task_id"];
const idLengthMax = 200;
/** Maximum ids of a difference. */
const idsMax = 20;

/** Returns the objects that contain the value at a JSON pointer, the innermost one first. */
function objectsAround(answer: Answer, path: string): Json[] {
  const objects: Json[] = [];
  for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
    const value = valueAt(answer, at);
    if (value instanceof Map) objects.push(value);
  }
  return objects;
}

const textsOf = (values: (Json | undefined)[]): string[] =>
  values.filter((value) => typeof value === "string").filter((text) =>
    text !== "" && text.length <= idLengthMax
  );

const idsOf = (objects: (Json | undefined)[]): string[] =>
  textsOf(objects.flatMap((object) => idFields.map((field) => fieldOf(object, field))));

/** Returns the id in the path of a request for one object. */
function idInPath({ step }: Exchange): string[] {
  const id = /^\/api\/v1\/(?:tasks|users)\/([^/]+)/.exec(step.path)?.[1];
  return id === undefined ? [] : [unquote(id)];
}

/** Returns the ids of the items that only one of two lists has. */
function idsInOneList(was: Json | undefined, is: Json | undefined): string[] {
  const [old, now] = [was, is].map((list) => new Set(idsOf(Array.isArray(list) ? list : [])));
  return [...old!.symmetricDifference(now!)];
}

/** Returns the ids of the objects that a difference may be about. */
export function suspectIds({ kind, path }: Difference, exchange: Exchange): string[] {
  const { old, new: now } = exchange;
  const around = kind === "header" ? [] : [old, now].flatMap((answer) => objectsAround(answer, path));
  const listed = kind === "length" ? idsInOneList(valueAt(old, path), valueAt(now, path)) : [];
  return [...new Set([...listed, ...idsOf(around), ...idInPath(exchange)])].slice(0, idsMax);
}

/** Returns the collection whose number of documents a difference is about. */
export function countedCollection({ kind, path }: Difference, { step }: Exchange): string | undefined {
  if (kind !== "length" && !/\/total(_\w+)?$/.test(path)) return undefined;
  if (path.includes("/dramatiq_tasks")) return "dramatiq_tasks";
  return /^\/api\/v1\/(users|tasks)/.exec(step.path)?.[1];
}

/** Returns the newest `updated_at` that the old backend shows for these objects, in ms since 1970. */
export function lastChange({ path }: Difference, { old }: Exchange): number | undefined {
  const times = textsOf(objectsAround(old, path).map((object) => fieldOf(object, "updated_at")))
    .map((text) => Date.parse(`${text}Z`)).filter((time) => !Number.isNaN(time));
  return times.length === 0 ? undefined : Math.max(...times);
}
