/** A request with both answers, and what rules read from it. */
import { type Json, parseJson } from "../json.ts";
import { unquote } from "./paths.ts";
import { headerOf, routeOf, type Step } from "./request.ts";
import { type Answer, valueAt } from "./answer.ts";

/** A request and both answers. */
export interface Exchange {
  step: Step;
  old: Answer;
  new: Answer;
}

/** Reports whether a request is for one of the routes. */
export const isOn = ({ step }: Exchange, ...routes: string[]): boolean => routes.includes(routeOf(step));

/** Reports whether the statuses are the given ones. */
export const changesStatus = ({ old, new: now }: Exchange, was: number | number[], is: number): boolean =>
  [was].flat().includes(old.status) && now.status === is;

/** Returns the last value of a query parameter, decoded. */
export function queryOf({ query }: Step, name: string): string | undefined {
  const values = query.filter((part) => part.split("=")[0] === name);
  const text = values.at(-1)?.slice(name.length + 1);
  return text === undefined ? undefined : unquote(text.replaceAll("+", " "));
}

/** Returns the last segment of the path, percent-encoded. */
export const lastSegment = ({ path }: Step): string => path.replace(/\/$/, "").split("/").at(-1)!;

/** Returns the parsed JSON body of a request. */
export function bodyOf({ body }: Step): Json | undefined {
  if (typeof body !== "string") return undefined;
  try {
    return parseJson(body);
  } catch {
    return undefined;
  }
}

/** Returns a field of an object. */
export const fieldOf = (value: Json | undefined, key: string): Json | undefined =>
  value instanceof Map ? value.get(key) : undefined;

/** Reports whether a value or a value inside it passes a test. */
export function some(value: Json, test: (value: Json) => boolean): boolean {
  if (test(value)) return true;
  const inside = Array.isArray(value) ? value : value instanceof Map ? [...value.values()] : [];
  return inside.some((item) => some(item, test));
}

/** Reports whether a request has a token that both backends accept, as a placeholder after one space. */
export const hasToken = (step: Step): boolean =>
  /^bearer \$\{[^}]+\}$/i.test(headerOf(step, "authorization")?.trim() ?? "");

/** Returns `detail` of an error. */
export const detailOf = (answer: Answer): Json | undefined => valueAt(answer, "/detail");
