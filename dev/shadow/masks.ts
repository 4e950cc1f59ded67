/** Declared noise: what each backend makes up by itself, and nothing that came out of the data. */
import { isUuid } from "../../uuid.ts";
import { type Json, JsonNumber } from "../../json.ts";
import type { Noise } from "./compare.ts";
import { routeOf, type Step } from "./request.ts";
import { type Answer, pointer } from "./side.ts";

const oid = /^[0-9a-f]{24}$/;
const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?$/;
const jwt = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;
const seedMax = 2147483647;

const text = (pattern: RegExp) => (value: Json): boolean => typeof value === "string" && pattern.test(value);
const uuid = (value: Json): boolean => typeof value === "string" && isUuid(value);
const isSeed = (value: Json): boolean =>
  value instanceof JsonNumber && value.isInteger && value.value >= 1 && value.value <= seedMax;

/** The forms that a recording's masks name. */
const forms: Record<string, (value: Json) => boolean> = {
  "<time>": text(time),
  "<jwt>": text(jwt),
  "<uuid>": uuid,
  "<oid>": text(oid),
  "<oid|uuid>": (value) => uuid(value) || text(oid)(value),
  "<seed>": isSeed,
  "<any>": () => true,
};

export interface NoiseContext {
  step: Step;
  old: Answer;
  new: Answer;
  /** Times later than this were made during the run, in ms since 1970. */
  sinceMs: number;
  /** Values that stand for each other: the old backend's id of something made in this run → the new one's. */
  pairs: Map<string, string>;
}

type Mask = (path: string, old: Json, now: Json, context: NoiseContext) => boolean;

/** Both of a form, at a path. */
const both = (form: string, old: Json, now: Json): boolean => forms[form]!(old) && forms[form]!(now);

function claimsOf(token: string): Record<string, unknown> | undefined {
  try {
    const part = token.split(".")[1] ?? "";
    const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

/** Two tokens that say the same of the same person for the same time. */
function sameToken(old: string, now: string, pairs: Map<string, string>): boolean {
  const was = claimsOf(old);
  const is = claimsOf(now);
  if (!was || !is || old.split(".")[0] === undefined) return false;
  const names = (claims: Record<string, unknown>) => Object.keys(claims).sort().join();
  const sameSub = was.sub === is.sub || pairs.get(String(was.sub)) === is.sub;
  const apartS = Math.abs(Number(was.exp) - Number(is.exp));
  return names(was) === names(is) && sameSub && was.email === is.email && apartS <= 300;
}

const isCreate = (step: Step): boolean =>
  ["POST /api/v1/tasks", "POST /api/v1/users/"].includes(routeOf(step));

/** Whether an answer tells of something that was made during this run on both sides. */
function isMade({ old, new: now, pairs }: NoiseContext): boolean {
  const id = pointer(old, "/data/id");
  return typeof id === "string" && pairs.get(id) === pointer(now, "/data/id");
}

/** Whether a task's own tags say which seed it draws with. */
function givesSeed(answer: Answer): boolean {
  const tags = pointer(answer, "/data/tags");
  return Array.isArray(tags) &&
    tags.some((tag) =>
      tag instanceof Map && tag.get("type") === "seed" && /^[1-9]\d*$/.test(textOf(tag.get("value")))
    );
}

const textOf = (value: Json | undefined): string =>
  value instanceof JsonNumber ? value.text : typeof value === "string" ? value : "";

/** Every kind of noise by its name; docs/shadow.md explains each. */
export const masks: Record<string, Mask> = {
  "id made in this run": (_, old, now, { pairs }) => typeof old === "string" && pairs.get(old) === now,
  "id of what is being made": (path, old, now, { step }) =>
    path === "/data/id" && isCreate(step) && both("<oid|uuid>", old, now),
  "id of a subtask made in this run": (path, old, now, context) =>
    /^\/data\/dramatiq_tasks\/\d+\/_?id$/.test(path) && isMade(context) && both("<oid|uuid>", old, now),
  "time of this run": (path, old, now, { sinceMs }) =>
    /\/(created_at|updated_at)$/.test(path) && both("<time>", old, now) &&
    [old, now].every((value) => Date.parse(`${value}Z`) >= sinceMs),
  "token": (path, old, now, { pairs }) =>
    path === "/data/access_token" && both("<jwt>", old, now) &&
    sameToken(old as string, now as string, pairs),
  "drawn seed": (path, old, now, context) =>
    /^\/data\/dramatiq_tasks\/\d+\/seed$/.test(path) && isMade(context) && both("<seed>", old, now) &&
    !givesSeed(context.old),
};

/** A recorded mask `/pointer=<form>` that stands for both values. */
function recordedMask(path: string, old: Json, now: Json, { step, pairs }: NoiseContext): boolean {
  return (step.masks ?? []).some((mask) => {
    const at = mask.lastIndexOf("=");
    if (mask.slice(0, at) !== path) return false;
    const form = forms[mask.slice(at + 1)];
    return form ? form(old) && form(now) : typeof old === "string" && pairs.get(old) === now;
  });
}

/** The noise of one pair of answers. */
export function createNoise(context: NoiseContext): Noise {
  return (path, old, now) => {
    for (const [name, mask] of Object.entries(masks)) {
      if (mask(path, old, now, context)) return name;
    }
    // A token that is not alike stays a difference, even where a recording calls it noise.
    const isToken = both("<jwt>", old, now);
    return !isToken && recordedMask(path, old, now, context) ? "declared by the recording" : undefined;
  };
}

/** True where the whole body is noise: the docs' pages are each backend's own, a recording may say `<any>`. */
export function isBodyNoise(step: Step): boolean {
  return (step.masks ?? []).includes("=<any>") || /^GET \/(docs|redoc)$/.test(routeOf(step));
}
