/** Holds answers against recorded ones, whose masks stand for any value of their form. */
import { type Json, JsonNumber, stringifyJson } from "../../json.ts";

const forms: Record<string, string> = {
  "<uuid>": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
  "<oid>": "[0-9a-f]{24}",
  "<oid|uuid>": "(?:[0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
  "<time>": "\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{6})?(?:\\+08:00)?",
  "<took>": "[\\d.小时分秒]+",
  "<jwt>": "[\\w-]+\\.[\\w-]+\\.[\\w-]+",
};

const quote = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Where the old backend's images were; ours are at the played API's. */
const recordedImage = /^https:\/\/img\.example\.com\/<uuid>\.webp$/;

function matchText(wanted: string, given: Json): boolean {
  if (wanted === "<seed>") return given instanceof JsonNumber && given.isInteger;
  if (typeof given !== "string") return false;
  if (recordedImage.test(wanted)) {
    return /^http:\/\/127\.0\.0\.1:\d+\/images\/[0-9a-f-]{36}\.png$/.test(given);
  }
  if (!/<[a-z|]+>/.test(wanted)) return wanted === given;
  const parts = wanted.split(/(<[a-z|]+>)/).map((part) => forms[part] ?? quote(part));
  return new RegExp(`^${parts.join("")}$`).test(given);
}

/** The first difference, as `place: wanted …, got …`; undefined where the two are alike, key order included. */
export function findDifference(wanted: Json, given: Json | undefined, place = "$"): string | undefined {
  const differs = () =>
    `${place}: wanted ${stringifyJson(wanted)}, got ${
      given === undefined ? "nothing" : stringifyJson(given)
    }`;
  if (given === undefined) return differs();
  if (typeof wanted === "string") return matchText(wanted, given) ? undefined : differs();
  if (Array.isArray(wanted)) {
    if (!Array.isArray(given) || given.length !== wanted.length) return differs();
    return wanted.map((item, i) => findDifference(item, given[i], `${place}[${i}]`)).find((found) => found);
  }
  if (wanted instanceof Map) {
    if (!(given instanceof Map)) return differs();
    const keys = [...wanted.keys()];
    const got = [...given.keys()];
    if (stringifyJson(keys) !== stringifyJson(got)) {
      return `${place}: wanted the keys ${stringifyJson(keys)}, got ${stringifyJson(got)}`;
    }
    return keys.map((key) => findDifference(wanted.get(key)!, given.get(key), `${place}.${key}`))
      .find((found) => found);
  }
  return stringifyJson(wanted) === stringifyJson(given) ? undefined : differs();
}
