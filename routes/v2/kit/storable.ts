/** Values that PostgreSQL cannot store: NUL, unpaired surrogates, and numbers beyond the range of a double. */
import type { Fault } from "./faults.ts";

const faultsMax = 10;
const wantedText = "text without NUL and without half characters";

const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();

/** Returns the first invalid values of parsed JSON, including names of fields. */
export function findUnstorable(body: unknown): Fault[] {
  const faults: Fault[] = [];
  const path: PropertyKey[] = [];

  function visitItem(key: PropertyKey, item: unknown): void {
    path.push(key);
    visit(item);
    path.pop();
  }

  function visitField(object: object, key: string): void {
    if (isStorable(key)) visitItem(key, Reflect.get(object, key));
    else faults.push({ path: [...path, key], wanted: `a name that is ${wantedText}` });
  }

  function visit(value: unknown): void {
    if (faults.length >= faultsMax) return;
    if (typeof value === "string" && !isStorable(value)) faults.push({ path: [...path], wanted: wantedText });
    // JSON.parse reads 1e400 as Infinity.
    if (typeof value === "number" && !Number.isFinite(value)) {
      faults.push({ path: [...path], wanted: "a number below 1.8e308" });
    }
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) value.forEach((item, index) => visitItem(index, item));
    else for (const key of Object.keys(value)) visitField(value, key);
  }

  visit(body);
  return faults;
}

/**
 * Returns the pairs of a query that contain NUL, also one with an empty name. Percent-encoding cannot express unpaired
 * surrogates.
 */
export function findUnstorableQuery(query: URLSearchParams): Fault[] {
  return [...query].filter(([name, value]) => name.includes("\0") || value.includes("\0"))
    .slice(0, faultsMax)
    .map(([name, value]) => ({ path: [name], value, wanted: wantedText }));
}
