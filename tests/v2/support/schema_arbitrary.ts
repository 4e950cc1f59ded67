/** Values drawn from a JSON schema, and the same with something wrong in them. */
import fc from "fast-check";

export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  propertyNames?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

/** Ends the growth of what has no bounds of its own. */
const bounds = { length: 40, items: 4, magnitude: 1000 };

const text = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: "grapheme", maxLength: 12 }));

function stringOf(
  { format, pattern, minLength = 0, maxLength = bounds.length }: Schema,
): fc.Arbitrary<unknown> {
  if (format === "uuid") return fc.uuid();
  if (format === "date-time") {
    return fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map((date) =>
      date.toISOString()
    );
  }
  if (format === "uri" || format === "url") return fc.webUrl({ validSchemes: ["https"] });
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern, "u"));
  const most = Math.max(minLength, Math.min(maxLength, bounds.length));
  return fc.string({ minLength, maxLength: most, unit: "grapheme" })
    .filter((value) => value.isWellFormed() && [...value].length <= most && [...value].length >= minLength);
}

function numberOf({ type, minimum, maximum, exclusiveMinimum }: Schema): fc.Arbitrary<unknown> {
  const min = minimum ?? (exclusiveMinimum === undefined ? -bounds.magnitude : exclusiveMinimum + 1);
  const max = Math.min(maximum ?? Infinity, Math.max(min, bounds.magnitude));
  return type === "integer"
    ? fc.integer({ min, max })
    : fc.double({ min, max, noNaN: true, noDefaultInfinity: true });
}

/** Draws values that fit a schema. */
export function fromSchema(schema: Schema, resolve: (ref: string) => Schema): fc.Arbitrary<unknown> {
  const draw = (inner: Schema) => fromSchema(inner, resolve);
  if (schema.$ref !== undefined) return draw(resolve(schema.$ref));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.allOf) {
    return draw(Object.assign({}, ...schema.allOf.map((part) => part.$ref ? resolve(part.$ref) : part)));
  }
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return fc.oneof(...options.map(draw));
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map((type) => draw({ ...schema, type })));
  switch (schema.type) {
    case "string":
      return stringOf(schema);
    case "integer":
    case "number":
      return numberOf(schema);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array": {
      const { minItems: minLength = 0, maxItems = bounds.items } = schema;
      return fc.array(draw(schema.items ?? {}), {
        minLength,
        maxLength: Math.max(minLength, Math.min(maxItems, bounds.items)),
      });
    }
    case "object": {
      const { properties = {}, required = [], additionalProperties } = schema;
      const known = fc.record(
        Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, draw(inner)])),
        { requiredKeys: required },
      );
      if (typeof additionalProperties !== "object") return known;
      const names = schema.propertyNames ? draw(schema.propertyNames) as fc.Arbitrary<string> : text;
      return fc.tuple(known, fc.dictionary(names, draw(additionalProperties), { maxKeys: 3 }))
        .map(([own, more]) => ({ ...more, ...own }));
    }
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

const wrongs: unknown[] = [
  null,
  true,
  -1,
  1.5,
  1e30,
  "",
  "x",
  "\u0000",
  "\ud800",
  [],
  [[]],
  {},
  { a: 1 },
  "5",
  NaN,
];

/** Changes one place of a value: another type, something missing, something too many, out of bounds. */
export function spoil(value: unknown): fc.Arbitrary<unknown> {
  const whole = fc.constantFrom(...wrongs);
  if (Array.isArray(value) && value.length > 0) {
    const inside = fc.nat(value.length - 1).chain((at) => spoil(value[at]).map((bad) => value.with(at, bad)));
    return fc.oneof({ weight: 1, arbitrary: whole }, { weight: 4, arbitrary: inside });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return whole;
  const entries = Object.entries(value);
  const more = whole.map((bad) => ({ ...value, unknown_field: bad }));
  if (entries.length === 0) return fc.oneof(whole, more);
  const place = fc.nat(entries.length - 1);
  const less = place.map((at) => Object.fromEntries(entries.toSpliced(at, 1)));
  const inside = place.chain((at) => {
    const [name, inner] = entries[at]!;
    return spoil(inner).map((bad) => ({ ...value, [name]: bad }));
  });
  return fc.oneof(
    { weight: 1, arbitrary: whole },
    { weight: 2, arbitrary: less },
    { weight: 2, arbitrary: more },
    { weight: 5, arbitrary: inside },
  );
}
