/** Generates values that conform to a JSON schema, and modifies them so that they may not. */
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
  minProperties?: number;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

/** Bounds for schemas without bounds. */
const bounds = { length: 40, items: 4, magnitude: 1000 };

const anyText = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: "grapheme", maxLength: 12 }));

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

/** Returns a schema with one of its options. Of `oneOf`, it leaves out the fields that the other options require. */
function withOption({ anyOf: _, oneOf = [], ...own }: Schema, option: Schema): Schema {
  if (own.type !== "object") return option;
  const foreign = oneOf.flatMap(({ required = [] }) =>
    required.filter((name) => !option.required?.includes(name))
  );
  const fields = Object.entries(own.properties ?? {}).filter(([name]) => !foreign.includes(name));
  const properties = fields.map(([name, inner]): [string, Schema] => [
    name,
    { ...inner, ...option.properties?.[name] },
  ]);
  const required = [...own.required ?? [], ...option.required ?? []];
  return { ...own, properties: Object.fromEntries(properties), required };
}

/**
 * Generates values that conform to a schema. Rules between fields (`if`, `not`) and the uniqueness of items are
 * left out.
 */
export function fromSchema(schema: Schema, resolve: (ref: string) => Schema): fc.Arbitrary<unknown> {
  const generate = (inner: Schema) => fromSchema(inner, resolve);
  if (schema.$ref !== undefined) return generate(resolve(schema.$ref));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.allOf) {
    const { allOf, ...own } = schema;
    // Rules between fields are left to the caller.
    if (own.type === "object") return generate(own);
    return generate(Object.assign({}, ...allOf.map((part) => part.$ref ? resolve(part.$ref) : part)));
  }
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return fc.oneof(...options.map((option) => generate(withOption(schema, option))));
  if (Array.isArray(schema.type)) {
    return fc.oneof(...schema.type.map((type) => generate({ ...schema, type })));
  }
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
      return fc.array(generate(schema.items ?? {}), {
        minLength,
        maxLength: Math.max(minLength, Math.min(maxItems, bounds.items)),
      });
    }
    case "object": {
      const { properties = {}, required = [], additionalProperties } = schema;
      const known = fc.record(
        Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, generate(inner)])),
        { requiredKeys: required },
      );
      if (typeof additionalProperties !== "object") return known;
      const names = schema.propertyNames ? generate(schema.propertyNames) as fc.Arbitrary<string> : anyText;
      return fc.tuple(
        known,
        fc.dictionary(names, generate(additionalProperties), {
          minKeys: schema.minProperties ?? 0,
          maxKeys: 3,
        }),
      )
        .map(([own, more]) => ({ ...more, ...own }));
    }
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

const replacements: unknown[] = [
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

/** Changes one part of a value: its type or range, or adds or removes a field. */
export function spoil(value: unknown): fc.Arbitrary<unknown> {
  const replaced = fc.constantFrom(...replacements);
  if (Array.isArray(value) && value.length > 0) {
    const inside = fc.nat(value.length - 1)
      .chain((i) => spoil(value[i]).map((spoiled) => value.with(i, spoiled)));
    return fc.oneof({ weight: 1, arbitrary: replaced }, { weight: 4, arbitrary: inside });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return replaced;
  const entries = Object.entries(value);
  const withUnknown = replaced.map((spoiled) => ({ ...value, unknown_field: spoiled }));
  if (entries.length === 0) return fc.oneof(replaced, withUnknown);
  const index = fc.nat(entries.length - 1);
  const withoutOne = index.map((i) => Object.fromEntries(entries.toSpliced(i, 1)));
  const inside = index.chain((i) => {
    const [name, inner] = entries[i]!;
    return spoil(inner).map((spoiled) => ({ ...value, [name]: spoiled }));
  });
  return fc.oneof(
    { weight: 1, arbitrary: replaced },
    { weight: 2, arbitrary: withoutOne },
    { weight: 2, arbitrary: withUnknown },
    { weight: 5, arbitrary: inside },
  );
}
