/** Noise: values that each backend generates itself, such as ids, times and tokens. Stored data is never noise. */
import { isUuid } from "../uuid.ts";
import { type Json, JsonNumber } from "../json.ts";
import type { Noise } from "./compare.ts";
import { routeOf, type Step } from "./request.ts";
import { type Answer, valueAt } from "./answer.ts";

const oid = /^[0-9a-f]{24}$/;
const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?$/;
const jwt = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;
const seedMax = 2147483647;

const text = (pattern: RegExp) => (value: Json): boolean => typeof value === "string" && pattern.test(value);
const uuid = (value: Json): boolean => typeof value === "string" && isUuid(value);
const isSeed = (value: Json): boolean =>
  value instanceof JsonNumber && value.isInteger && value.value >= 1 && value.value <= seedMax;

/** Forms of values by the names that recorded masks use. */
const forms: Record<string, (value: Json) => boolean> = {
  "<time>": text(time),
  "<jwt>": text(jwt),
  "<uuid>": uuid,
  "<oid>": text(oid),
  "<oid|uuid>": (value) => uuid(value) || text(oid)(value),
  "<seed>": isSeed,
  "<any>": () => true,
};

/** Two answers to compare, and what is known about the run. */
export interface NoiseContext {
  step: Step;
  old: Answer;
  new: Answer;
  /** Start of the run in ms since 1970. Later times were generated during the run. */
  sinceMs: number;
  /** Ids of objects created in this run: the old backend's id → the new backend's id. */
  pairs: Map<string, string>;
}

type Mask = (path: string, old: Json, now: Json, context: NoiseContext) => boolean;

/** Reports whether both values have a form. */
const bothHaveForm = (form: string, old: Json, now: Json): boolean => forms[form]!(old) && forms[form]!(now);

function tokenPayload(token: string): Record<string, unknown> | undefined {
  try {
    const part = token.split(".")[1] ?? "";
    const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

/** Reports whether two tokens have the same claims, the same user and nearly the same expiry. */
function isSameToken(old: string, now: string, pairs: Map<string, string>): boolean {
  const was = tokenPayload(old);
  const is = tokenPayload(now);
  if (!was || !is || old.split(".")[0] === undefined) return false;
  const names = (claims: Record<string, unknown>) => Object.keys(claims).sort().join();
  const sameSub = was.sub === is.sub || pairs.get(String(was.sub)) === is.sub;
  const apartS = Math.abs(Number(was.exp) - Number(is.exp));
  return names(was) === names(is) && sameSub && was.email === is.email && apartS <= 300;
}

const isCreate = (step: Step): boolean =>
  ["POST /api/v1/tasks", "POST /api/v1/users/"].includes(routeOf(step));

/** Reports whether the answers describe an object that was created on both sides in this run. */
function isCreatedInRun({ old, new: now, pairs }: NoiseContext): boolean {
  const id = valueAt(old, "/data/id");
  return typeof id === "string" && pairs.get(id) === valueAt(now, "/data/id");
}

/** Reports whether the tags of a task give its seed. */
function hasSeedTag(answer: Answer): boolean {
  const tags = valueAt(answer, "/data/tags");
  return Array.isArray(tags) &&
    tags.some((tag) =>
      tag instanceof Map && tag.get("type") === "seed" && /^[1-9]\d*$/.test(textOf(tag.get("value")))
    );
}

const textOf = (value: Json | undefined): string =>
  value instanceof JsonNumber ? value.text : typeof value === "string" ? value : "";

/** All kinds of noise by name, as in docs/shadow.md. */
export const masks: Record<string, Mask> = {
  "id created in this run": (_, old, now, { pairs }) => typeof old === "string" && pairs.get(old) === now,
  "id of a new object": (path, old, now, { step }) =>
    path === "/data/id" && isCreate(step) && bothHaveForm("<oid|uuid>", old, now),
  "id of a subtask created in this run": (path, old, now, context) =>
    /^\/data\/dramatiq_tasks\/\d+\/_?id$/.test(path) && isCreatedInRun(context) &&
    bothHaveForm("<oid|uuid>", old, now),
  "time of this run": (path, old, now, { sinceMs }) =>
    /\/(created_at|updated_at)$/.test(path) && bothHaveForm("<time>", old, now) &&
    [old, now].every((value) => Date.parse(`${value}Z`) >= sinceMs),
  "token": (path, old, now, { pairs }) =>
    path === "/data/access_token" && bothHaveForm("<jwt>", old, now) &&
    isSameToken(old as string, now as string, pairs),
  "random seed": (path, old, now, context) =>
    /^\/data\/dramatiq_tasks\/\d+\/seed$/.test(path) && isCreatedInRun(context) &&
    bothHaveForm("<seed>", old, now) &&
    !hasSeedTag(context.old),
};

/** Reports whether a recorded mask `/pointer=<form>` applies to both values. */
function recordedMask(path: string, old: Json, now: Json, { step, pairs }: NoiseContext): boolean {
  return (step.masks ?? []).some((mask) => {
    const at = mask.lastIndexOf("=");
    if (mask.slice(0, at) !== path) return false;
    const form = forms[mask.slice(at + 1)];
    return form ? form(old) && form(now) : typeof old === "string" && pairs.get(old) === now;
  });
}

/** Returns the noise function of one pair of answers. */
export function createNoise(context: NoiseContext): Noise {
  return (path, old, now) => {
    for (const [name, mask] of Object.entries(masks)) {
      if (mask(path, old, now, context)) return name;
    }
    // Different tokens are a difference, even if a recording declares them as noise.
    const isToken = bothHaveForm("<jwt>", old, now);
    return !isToken && recordedMask(path, old, now, context) ? "declared by the recording" : undefined;
  };
}

/** Reports whether the whole body is noise: on the documentation pages, or if a recording declares it. */
export function isBodyNoise(step: Step): boolean {
  return (step.masks ?? []).includes("=<any>") || /^GET \/(docs|redoc)$/.test(routeOf(step));
}
