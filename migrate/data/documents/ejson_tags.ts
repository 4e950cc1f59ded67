/** Parses the type tags of Extended JSON: documents whose first key starts with `$`. */
import { BsonDocument, type BsonValue, DateMs, Double, ObjectId, Special } from "./tree.ts";
import { writeCanonical } from "./ejson_write.ts";
import { readDateTag } from "./times.ts";

const isText = (value: BsonValue | undefined): value is string => typeof value === "string";
const quote = (text: string) => JSON.stringify(text);

/** A text that mongoimport rejects is no date, and the document stays an ordinary one. */
function readDate(value: BsonValue | undefined): DateMs | undefined {
  if (typeof value === "number") return new DateMs(value);
  if (typeof value === "bigint") return new DateMs(shrink(value));
  if (!isText(value)) return undefined;
  const ms = readDateTag(value);
  return typeof ms === "number" ? new DateMs(ms) : undefined;
}

/** Returns a number if it is exact, else the bigint. */
export function shrink(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}

function readDouble(value: BsonValue | undefined): Double | undefined {
  if (!isText(value)) return undefined;
  const known: Record<string, number> = { NaN, Infinity, "-Infinity": -Infinity };
  const number = known[value] ?? Number(value);
  return Number.isNaN(number) && value !== "NaN" || value.trim() === "" ? undefined : new Double(number);
}

function readWhole(value: BsonValue | undefined, bits: 32 | 64): number | bigint | undefined {
  if (!isText(value) || !/^-?\d{1,20}$/.test(value)) return undefined;
  const whole = BigInt(value);
  if (BigInt.asIntN(bits, whole) !== whole) return undefined;
  return bits === 32 ? Number(whole) : whole;
}

function readBinary(document: BsonDocument): Special | undefined {
  const body = document.get("$binary");
  const type = document.get("$type");
  const [base64, subType] = body instanceof BsonDocument
    ? [body.get("base64"), body.get("subType")]
    : [body, type];
  if (!isText(base64) || !isText(subType) || !/^[0-9a-fA-F]{1,2}$/.test(subType)) return undefined;
  return new Special(
    `{"$binary":{"base64":${quote(base64)},"subType":"${subType.toLowerCase().padStart(2, "0")}"}}`,
  );
}

function readUuid(value: BsonValue | undefined): Special | undefined {
  if (!isText(value) || !/^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value)) return undefined;
  const base64 = Uint8Array.fromHex(value.replaceAll("-", "")).toBase64();
  return new Special(`{"$binary":{"base64":"${base64}","subType":"04"}}`);
}

function readTimestamp(value: BsonValue | undefined): Special | undefined {
  if (!(value instanceof BsonDocument) || value.keys.join() !== "t,i") return undefined;
  const [t, i] = value.values;
  const isInteger = (part: BsonValue | undefined) => typeof part === "number" || typeof part === "bigint";
  return isInteger(t) && isInteger(i) ? new Special(`{"$timestamp":{"t":${t},"i":${i}}}`) : undefined;
}

function readRegex(pattern: BsonValue | undefined, options: BsonValue | undefined): Special | undefined {
  if (!isText(pattern) || !isText(options)) return undefined;
  return new Special(`{"$regularExpression":{"pattern":${quote(pattern)},"options":${quote(options)}}}`);
}

function readCode(document: BsonDocument): Special | undefined {
  const [code, scope] = document.values;
  if (!isText(code)) return undefined;
  if (document.keys.length === 1) return new Special(`{"$code":${quote(code)}}`);
  if (document.keys[1] !== "$scope" || !(scope instanceof BsonDocument)) return undefined;
  return new Special(`{"$code":${quote(code)},"$scope":${writeCanonical(scope)}}`);
}

function readPointer(value: BsonValue | undefined): Special | undefined {
  if (!(value instanceof BsonDocument) || value.keys.join() !== "$ref,$id") return undefined;
  const [ref, id] = value.values;
  if (!isText(ref) || !(id instanceof ObjectId)) return undefined;
  return new Special(`{"$dbPointer":{"$ref":${quote(ref)},"$id":{"$oid":"${id.hex}"}}}`);
}

/** Parses the tags that only the lossless form has. */
function readLosslessTag(document: BsonDocument): BsonValue | undefined {
  const [value] = document.values;
  if (document.keys[0] === "$escaped" && isText(value)) return JSON.parse(`"${value}"`);
  if (document.keys[0] !== "$entries" || !Array.isArray(value)) return undefined;
  const entries = value as [string, BsonValue][];
  return new BsonDocument(entries.map(([key]) => key), entries.map(([, item]) => item));
}

/** Tags of documents with a single key. */
const singleTags: Record<string, (value: BsonValue | undefined) => BsonValue | undefined> = {
  $oid: (value) =>
    isText(value) && /^[0-9a-f]{24}$/i.test(value) ? new ObjectId(value.toLowerCase()) : undefined,
  $date: readDate,
  $numberInt: (value) => readWhole(value, 32),
  $numberLong: (value) => readWhole(value, 64),
  $numberDouble: readDouble,
  $numberDecimal: (value) => isText(value) ? new Special(`{"$numberDecimal":${quote(value)}}`) : undefined,
  $uuid: readUuid,
  $timestamp: readTimestamp,
  $minKey: (value) => value === 1 ? new Special('{"$minKey":1}') : undefined,
  $maxKey: (value) => value === 1 ? new Special('{"$maxKey":1}') : undefined,
  $undefined: (value) => value === true ? new Special('{"$undefined":true}') : undefined,
  $symbol: (value) => isText(value) ? new Special(`{"$symbol":${quote(value)}}`) : undefined,
  $dbPointer: readPointer,
};

/** Returns the value of a tagged document, or undefined if it is an ordinary document. */
export function readTagged(document: BsonDocument, dialect: "ejson" | "lossless"): BsonValue | undefined {
  const { keys, values } = document;
  const tag = keys[0]!;
  if (tag === "$binary") return readBinary(document);
  if (tag === "$code") return readCode(document);
  if (keys.length === 2 && tag === "$regex" && keys[1] === "$options") return readRegex(values[0], values[1]);
  if (keys.length !== 1) return undefined;
  if (tag === "$regularExpression" && values[0] instanceof BsonDocument) {
    return readRegex(values[0].get("pattern"), values[0].get("options"));
  }
  return (Object.hasOwn(singleTags, tag) ? singleTags[tag]!(values[0]) : undefined) ??
    (dialect === "lossless" ? readLosslessTag(document) : undefined);
}
