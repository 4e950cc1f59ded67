/**
 * PostgreSQL's array literals, so that arrays never wait for the driver to have learned their types.
 *
 * The driver itself takes an array for one value of its first element's type where that is a boolean, a bigint or a
 * Date: send those as texts.
 */

type Element = string | number | bigint | boolean | Date | null | undefined | Element[];

function writeElement(value: Element): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return writeArray(value);
  const text = value instanceof Date ? value.toISOString() : String(value);
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/**
 * @example
 * ```ts
 * import { writeArray } from "./arrays.ts";
 * if (writeArray(["a", 'b"', null, 1]) !== '{"a","b\\"",null,"1"}') throw new Error();
 * ```
 */
export const writeArray = (values: Element[]): string => `{${values.map(writeElement).join(",")}}`;

type Parsed<T> = (T | null | Parsed<T>)[];

/**
 * Reads a literal as the server writes it; elements go through `read`, nested arrays stay nested.
 *
 * @example
 * ```ts
 * import { readArray } from "./arrays.ts";
 * const got = readArray('{1,NULL,"a b","\\"{",{2}}', (text) => text);
 * if (JSON.stringify(got) !== '["1",null,"a b","\\"{",["2"]]') throw new Error(JSON.stringify(got));
 * ```
 */
export function readArray<T>(literal: string, read: (text: string) => T): Parsed<T> {
  // Arrays that do not begin at 1 have their bounds before an equals sign.
  let at = literal.indexOf("{");
  const readText = (): T | null => {
    let text = "";
    if (literal[at] === '"') {
      for (at++; literal[at] !== '"'; at++) {
        if (literal[at] === "\\") at++;
        text += literal[at];
      }
      at++;
      return read(text);
    }
    const end = literal.slice(at).search(/[,}]/) + at;
    text = literal.slice(at, end);
    at = end;
    return text.toUpperCase() === "NULL" ? null : read(text);
  };
  const readList = (): Parsed<T> => {
    const values: Parsed<T> = [];
    at++;
    while (literal[at] !== "}") {
      values.push(literal[at] === "{" ? readList() : readText());
      if (literal[at] === ",") at++;
    }
    at++;
    return values;
  };
  return readList();
}

const asText = (text: string) => text;
/** By array type: its oid, and how an element is read; long integers stay texts, as they do outside of arrays. */
const arrayTypes: [name: string, oid: number, read: (text: string) => unknown][] = [
  ["booleans", 1000, (text) => text === "t"],
  ["int2s", 1005, Number],
  ["int4s", 1007, Number],
  ["texts", 1009, asText],
  ["varchars", 1015, asText],
  ["int8s", 1016, asText],
  ["float8s", 1022, Number],
  ["uuids", 2951, asText],
];

/** For the driver's `types`. */
export const arrayHandlers = Object.fromEntries(
  arrayTypes.map(([name, oid, read]) => [name, {
    to: oid,
    from: [oid],
    serialize: (value: unknown) => Array.isArray(value) ? writeArray(value as Element[]) : String(value),
    parse: (literal: string) => readArray(literal, read),
  }]),
);
