/** What PostgreSQL and JSON between them cannot keep: NUL, lone surrogates, numbers beyond any. */
import type { Fault } from "./problem.ts";

const wantedText = "text without NUL and without half characters";

const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();

/** The first places of a parsed body that nothing could store as they stand, names of fields included. */
export function findUnstorable(body: unknown): Fault[] {
  const faults: Fault[] = [];
  const path: PropertyKey[] = [];
  const visit = (value: unknown): void => {
    if (faults.length >= 10) return;
    if (typeof value === "string" && !isStorable(value)) faults.push({ path: [...path], wanted: wantedText });
    // JSON.parse reads 1e400 as Infinity.
    if (typeof value === "number" && !Number.isFinite(value)) {
      faults.push({ path: [...path], wanted: "a number below 1.8e308" });
    }
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) {
      value.forEach((item, place) => {
        path.push(place);
        visit(item);
        path.pop();
      });
      return;
    }
    for (const key of Object.keys(value)) {
      path.push(key);
      if (isStorable(key)) visit(Reflect.get(value, key));
      else faults.push({ path: [...path], wanted: `a name that is ${wantedText}` });
      path.pop();
    }
  };
  visit(body);
  return faults;
}

/** The parameters of a query that hold NUL: percent-coding can bring it, half characters it cannot. */
export function findUnstorableQuery(query: Record<string, string[]>): Fault[] {
  return Object.entries(query)
    .filter(([name, values]) => name.includes("\0") || values.some((value) => value.includes("\0")))
    .map(([name]) => ({ path: [name], wanted: wantedText }));
}
