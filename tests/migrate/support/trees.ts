import fc from "fast-check";
import {
  BsonDocument,
  type BsonValue,
  DateMs,
  Double,
  ObjectId,
  Special,
} from "../../../migrate/data/documents/tree.ts";

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "a\0b",
    '\t\r\n\\N\\.\b\f\v"',
    "樱花",
    "\ufffd",
    "\ufeffbom",
    "",
    "__proto__",
    "x".repeat(300),
  ),
);

const specials = [
  '{"$minKey":1}',
  '{"$maxKey":1}',
  '{"$undefined":true}',
  '{"$numberDecimal":"1.10"}',
  '{"$numberDecimal":"-0"}',
  '{"$numberDecimal":"9.990E+6111"}',
  '{"$numberDecimal":"NaN"}',
  '{"$timestamp":{"t":4294967295,"i":4294967295}}',
  '{"$timestamp":{"t":0,"i":0}}',
  '{"$binary":{"base64":"AP8=","subType":"00"}}',
  '{"$binary":{"base64":"","subType":"02"}}',
  '{"$binary":{"base64":"AP8=","subType":"02"}}',
  '{"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"04"}}',
  '{"$regularExpression":{"pattern":"^a\\"b","options":"im"}}',
  '{"$symbol":"s\\u0000"}',
  '{"$code":"return \\"1\\""}',
  '{"$code":"f()","$scope":{"n":{"$numberLong":"5"},"o":{"p":[true,null]}}}',
  '{"$dbPointer":{"$ref":"db.c","$id":{"$oid":"66aa00000000000000000001"}}}',
];

const leaf: fc.Arbitrary<BsonValue> = fc.oneof(
  text,
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, 5n, 2n ** 31n, -(2n ** 31n) - 1n, 999999999999999n, 10n ** 15n),
  fc.double().map((value) => new Double(value)),
  fc.constantFrom(1, -0, 0.7, 1e15, 999999999999999, 1e300, 1e-5, 1e-7, NaN, Infinity, -Infinity)
    .map((value) => new Double(value)),
  fc.oneof(
    fc.integer(),
    fc.constantFrom(0, -1, 8.64e15, 253402300799999, 253402300800000, -62135596800000, -62135596800001),
  ).map((ms) => new DateMs(ms)),
  fc.constant(new DateMs(2n ** 63n - 1n)),
  fc.stringMatching(/^[0-9a-f]{24}$/).map((id) => new ObjectId(id)),
  fc.constantFrom(...specials).map((special) => new Special(special)),
);

const key = fc.oneof(
  fc.constantFrom(
    "v0",
    "10",
    "2",
    "url",
    "$set",
    "$date",
    "$oid",
    "",
    "a.b",
    "__proto__",
    "constructor",
    'q"\\',
  ),
  fc.string({ maxLength: 8 }).map((name) => name.replaceAll("\0", "")),
);

const documentOf = (entries: [string, BsonValue][]) =>
  new BsonDocument(entries.map(([name]) => name), entries.map(([, item]) => item));

/** Any value of BSON, with occasional duplicate keys. */
export const bsonValue: fc.Arbitrary<BsonValue> = fc.letrec<{ value: BsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 12 }),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 5 }).map(documentOf),
  ),
})).value;

/** Any document of BSON. */
export const bsonDocument: fc.Arbitrary<BsonDocument> = fc.array(fc.tuple(key, bsonValue), { maxLength: 8 })
  .map(documentOf);
