/** Compares answers with recorded ones, in which a mask stands for any value of its form. */
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

/** URLs of recorded images. In tests, images have URLs of the fake image API. */
const recordedImage = /^https:\/\/img\.example\.com\/<uuid>\.webp$/;

function matchText(expected: string, actual: Json): boolean {
  if (expected === "<seed>") return actual instanceof JsonNumber && actual.isInteger;
  if (typeof actual !== "string") return false;
  if (recordedImage.test(expected)) {
    return /^http:\/\/127\.0\.0\.1:\d+\/images\/[0-9a-f-]{36}\.png$/.test(actual);
  }
  if (!/<[a-z|]+>/.test(expected)) return expected === actual;
  const parts = expected.split(/(<[a-z|]+>)/).map((part) => forms[part] ?? quote(part));
  return new RegExp(`^${parts.join("")}$`).test(actual);
}

/** Returns the first difference as `path: expected …, got …`, or undefined. The order of keys is compared too. */
export function findDifference(expected: Json, actual: Json | undefined, path = "$"): string | undefined {
  const differs = () =>
    `${path}: expected ${stringifyJson(expected)}, got ${
      actual === undefined ? "nothing" : stringifyJson(actual)
    }`;
  if (actual === undefined) return differs();
  if (typeof expected === "string") return matchText(expected, actual) ? undefined : differs();
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return differs();
    return expected.map((item, i) => findDifference(item, actual[i], `${path}[${i}]`)).find((found) => found);
  }
  if (expected instanceof Map) {
    if (!(actual instanceof Map)) return differs();
    const keys = [...expected.keys()];
    const got = [...actual.keys()];
    if (stringifyJson(keys) !== stringifyJson(got)) {
      return `${path}: expected the keys ${stringifyJson(keys)}, got ${stringifyJson(got)}`;
    }
    return keys.map((key) => findDifference(expected.get(key)!, actual.get(key), `${path}.${key}`))
      .find((found) => found);
  }
  return stringifyJson(expected) === stringifyJson(actual) ? undefined : differs();
}
