/** Values at and beyond the bounds of a schema, and values that differ from a given one in a single place. */
import fc from "fast-check";
import type { Schema } from "./schema_arbitrary.ts";

type Resolve = (ref: string) => Schema;

/** Stands for a number that a double cannot hold. {@link toBody} writes it. */
const hugeNumber = "@@1e400@@";

/** Writes a body. Unlike `JSON.stringify`, it can write numbers beyond the range of a double. */
export const toBody = (value: unknown): string =>
  JSON.stringify(value).replaceAll(`"${hugeNumber}"`, "1e400");

const times = [
  "2025-05-13T07:40:46Z",
  "2025-05-13T07:40:46.622Z",
  "2025-05-13T07:40:46.123456789Z",
  "2025-05-13T07:40:46.1234567890Z",
  "2024-02-29T00:00:00Z",
  "2025-02-29T00:00:00Z",
  "2025-02-30T00:00:00Z",
  "2025-13-01T00:00:00Z",
  "2025-05-13T24:00:00Z",
  "2025-05-13T23:59:60Z",
  "2025-05-13T07:40Z",
  "2025-05-13T07:40:46",
  "2025-05-13T07:40:46+00:00",
  "2025-05-13t07:40:46z",
  "2025-05-13 07:40:46Z",
  "2025-05-13",
  "0000-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59Z",
  "10000-01-01T00:00:00Z",
];

const emails = [
  "a@b",
  "a@b.c",
  "@b.c",
  "a@",
  "a b@c.d",
  "a@b@c",
  `${"a".repeat(64)}@example.com`,
  `${"a".repeat(65)}@example.com`,
  `${"😀".repeat(64)}@example.com`,
  `a@${"b".repeat(255)}`,
  `a@${"b".repeat(256)}`,
  "ä@ö.ü",
  "a\u0085@b.c",
  "a\u2028@b.c",
  '"a"@b.c',
];

/** Returns texts of the lengths around the bounds, in characters of one and of two UTF-16 units. */
function lengthTexts({ minLength = 0, maxLength = 40 }: Schema): string[] {
  const lengths = [minLength - 1, minLength, maxLength, maxLength + 1].filter((length) => length >= 0);
  return [...new Set(lengths)].flatMap((length) => ["x".repeat(length), "😀".repeat(length)]);
}

/** Returns patterns in which each repetition has its least or its greatest number, or one beyond. */
function withBounds(pattern: string): string[] {
  return [...pattern.matchAll(/\{(\d+),(\d+)\}/g)].flatMap(
    ({ 0: repetition, 1: least, 2: greatest, index }) => {
      const counts = [Number(least) - 1, Number(least), Number(greatest), Number(greatest) + 1];
      return counts.filter((count) => count >= 0)
        .map((count) => `${pattern.slice(0, index)}{${count}}${pattern.slice(index + repetition.length)}`);
    },
  );
}

const sample = (pattern: string, numRuns: number) =>
  fc.sample(fc.stringMatching(new RegExp(pattern, "u")), { numRuns, seed: 1 });

/** Returns texts that match a pattern, texts at and beyond its bounds, and slight changes. */
function patternTexts(pattern: string): string[] {
  const matching = sample(pattern, 4);
  const changed = matching.flatMap((text) => [
    text,
    `${text}\n`,
    ` ${text}`,
    `${text},`,
    `${text},${text}`,
    text.slice(1),
    text.toUpperCase(),
    `${text}\u00e9`,
  ]);
  return [...changed, ...withBounds(pattern).flatMap((bounded) => sample(bounded, 1))];
}

/** Returns texts for a schema of type string. Each of them may conform or not. */
function texts(schema: Schema): string[] {
  const { format, pattern, enum: known } = schema;
  const general = ["", "x", "x y", " x", "x ", "a\nb", "a\tb", "0", "true", "null", "x\u0085", "\ufeffx"];
  if (known) {
    return [...known.flatMap((name) => [String(name), String(name).toUpperCase(), `${name} `]), ...general];
  }
  return [
    ...general,
    ...lengthTexts(schema),
    ...(format === "date-time" ? times : []),
    ...(format === "idn-email" ? emails : []),
    ...(format === "uuid" ? [crypto.randomUUID(), crypto.randomUUID().toUpperCase(), "x".repeat(36)] : []),
    ...(pattern === undefined || pattern === "^[^\\u0000]*$" ? [] : patternTexts(pattern)),
  ];
}

const integers = ({ minimum = -5, maximum = 5 }: Schema) => [minimum - 1, minimum, maximum, maximum + 1];

/** Returns texts of a parameter in a path or a query, at and beyond the bounds of its schema. */
export function boundaryTexts(schema: Schema): string[] {
  const { type } = schema;
  if (type !== "integer") {
    return [...new Set([...texts(schema), ...type === "boolean" ? ["false", "TRUE", "1"] : []])];
  }
  const numbers = integers(schema).map(String);
  const spellings = [
    "",
    "01",
    "+1",
    "-0",
    "1.0",
    "1.5",
    "1e1",
    "0x1",
    " 1",
    "1 ",
    "1,2",
    "NaN",
    "１",
    "9".repeat(20),
  ];
  return [...new Set([...numbers, ...spellings])];
}

/** Returns a valid item of a list, repeated. */
function listsOf(item: unknown, { minItems = 0, maxItems = 4 }: Schema): unknown[] {
  const lengths = [0, minItems - 1, minItems, 2, maxItems, maxItems + 1].filter((length) => length >= 0);
  return [...new Set(lengths)].map((length) => Array(length).fill(item));
}

/** Returns values for a position in a body, whatever stands there. */
function valuesFor(schema: Schema, value: unknown): unknown[] {
  const { type, items } = schema;
  const types = Array.isArray(type) ? type : [type];
  const general = [null, true, 0, "", "x", [], {}, [[]], "\u0000", "\ud800", "x\ud800y"];
  if (schema.enum && typeof schema.enum[0] !== "string") return [...general, ...schema.enum];
  return types.flatMap((name): unknown[] => {
    switch (name) {
      case "integer":
      case "number":
        return [...integers(schema), 0.5, "1", 1e30, hugeNumber, true, null, [1]];
      case "string":
        return [...texts(schema), "a\u0000b", "a\ud800b", 5, null, ["x"], {}];
      case "boolean":
        return [true, false, "true", 1, null];
      case "array":
        return [
          ...listsOf(Array.isArray(value) && value.length > 0 ? value[0] : items?.enum?.[0] ?? 0, schema),
          {},
          "x",
          null,
        ];
      default:
        return [...general, { unknown_field: 1 }, { "a\u0000": 1 }, { a: hugeNumber }, { a: "\ud800" }];
    }
  });
}

/** Returns all values that differ from `value` in one place: replaced, removed or added, at and beyond the bounds. */
export function* mutations(given: Schema, value: unknown, resolve: Resolve): Generator<unknown> {
  const schema = given.$ref === undefined ? given : resolve(given.$ref);
  yield* valuesFor(schema, value);
  if (Array.isArray(value)) {
    if (!schema.items || value.length === 0) return;
    for (const changed of mutations(schema.items, value[0], resolve)) yield value.with(0, changed);
    yield [...value, value[0]];
  } else if (typeof value === "object" && value !== null) {
    for (const name of Object.keys(value)) {
      yield Object.fromEntries(Object.entries(value).filter(([key]) => key !== name));
    }
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      const before: unknown = Reflect.get(value, name);
      for (const changed of mutations(inner, before, resolve)) yield { ...value, [name]: changed };
    }
    yield { ...value, unknown_field: 1 };
    yield Object.fromEntries([...Object.entries(value), ["__proto__", 1]]);
    const { additionalProperties } = schema;
    if (typeof additionalProperties !== "object") return;
    for (const [name, before] of Object.entries(value)) {
      for (const changed of mutations(additionalProperties, before, resolve)) {
        yield { ...value, [name]: changed };
      }
    }
    for (const name of ["", "v0", "v6", "batch", "x".repeat(600)]) {
      const more = Object.values(value)[0] ?? 1;
      yield Object.fromEntries([...Object.entries(value), [name, more]]);
    }
  }
}
