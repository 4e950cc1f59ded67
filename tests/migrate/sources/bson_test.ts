import assert from "node:assert/strict";
import fc from "fast-check";
import { makeDocuments } from "../../../migrate/data/sources/bson_documents.ts";
import { BsonError, checkBson } from "../../../migrate/data/documents/bson_layout.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { BsonWriteError, writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { readDocument, TooDeepError } from "../../../migrate/data/documents/ejson_read.ts";
import { writeCanonical } from "../../../migrate/data/documents/ejson_write.ts";
import {
  BsonDocument,
  type BsonValue,
  DateMs,
  Double,
  isSame,
  ObjectId,
  Special,
} from "../../../migrate/data/documents/tree.ts";
import type { RawDocument } from "../../../migrate/data/documents/source.ts";
import { decodeUtf8, encodeUtf8 } from "../../../migrate/data/documents/utf8.ts";
import { readPacked } from "../support/program.ts";
import { bsonDocument } from "../support/trees.ts";

const collections = ["users", "tasks", "dramatiq_tasks"] as const;

function splitBson(bytes: Uint8Array): Uint8Array[] {
  const documents: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + checkBson(bytes.subarray(at));
    documents.push(bytes.subarray(at, end));
    at = end;
  }
  return documents;
}

/** Returns the document `{a: value}`. Type and bytes of the value are hex digits. */
function single(type: string, hex: string): Uint8Array {
  const body = `${type}6100${hex}00`.replaceAll(" ", "");
  const bytes = Uint8Array.fromHex(`00000000${body}`);
  new DataView(bytes.buffer).setInt32(0, bytes.length, true);
  return bytes;
}

const oid = "66aa00000000000000000001";

const values: [name: string, type: string, hex: string, value: BsonValue][] = [
  ["a double", "01", "000000000000f83f", new Double(1.5)],
  ["-0.0", "01", "0000000000000080", new Double(-0)],
  ["NaN", "01", "000000000000f87f", new Double(NaN)],
  ["infinity", "01", "000000000000f07f", new Double(Infinity)],
  ["a text with NUL", "02", "04000000 610062 00", "a\0b"],
  ["a text beyond the BMP", "02", "05000000 f09f90b1 00", "🐱"],
  ["an empty document", "03", "0500000000", new BsonDocument([], [])],
  ["an array", "04", "0c000000 10 3000 07000000 00", [7]],
  ["a binary", "05", "02000000 00 00ff", new Special('{"$binary":{"base64":"AP8=","subType":"00"}}')],
  [
    "a binary of the old type",
    "05",
    "06000000 02 02000000 00ff",
    new Special('{"$binary":{"base64":"AP8=","subType":"02"}}'),
  ],
  ["undefined", "06", "", new Special('{"$undefined":true}')],
  ["an ObjectId", "07", oid, new ObjectId(oid)],
  ["true", "08", "01", true],
  ["false", "08", "00", false],
  ["a date", "09", "ffffffffffffffff", new DateMs(-1)],
  ["the last date", "09", "ffffffffffffff7f", new DateMs(2n ** 63n - 1n)],
  ["null", "0a", "", null],
  ["a regex", "0b", "5e6100 6900", new Special('{"$regularExpression":{"pattern":"^a","options":"i"}}')],
  [
    "a pointer",
    "0c",
    `02000000 6300 ${oid}`,
    new Special(`{"$dbPointer":{"$ref":"c","$id":{"$oid":"${oid}"}}}`),
  ],
  ["code", "0d", "02000000 6600", new Special('{"$code":"f"}')],
  ["a symbol", "0e", "02000000 7300", new Special('{"$symbol":"s"}')],
  [
    "code with scope",
    "0f",
    "16000000 02000000 6600 0c000000 10 7800 05000000 00",
    new Special('{"$code":"f","$scope":{"x":{"$numberInt":"5"}}}'),
  ],
  ["an int32", "10", "00000080", -0x80000000],
  ["a timestamp", "11", "02000000 01000000", new Special('{"$timestamp":{"t":1,"i":2}}')],
  ["an int64 that an int32 could hold", "12", "0500000000000000", 5n],
  ["a decimal", "13", "6e000000000000000000000000003c30", new Special('{"$numberDecimal":"1.10"}')],
  ["MinKey", "ff", "", new Special('{"$minKey":1}')],
  ["MaxKey", "7f", "", new Special('{"$maxKey":1}')],
];
for (const [name, type, hex, value] of values) {
  Deno.test(`BSON: ${name} is read and written`, () => {
    const bytes = single(type, hex);
    const document = readBson(bytes);
    assert.equal(writeCanonical(document), writeCanonical(new BsonDocument(["a"], [value])));
    assert.ok(isSame(document.values[0]!, value));
    assert.deepEqual(writeBson(document), bytes);
    assert.equal(checkBson(bytes), bytes.length);
  });
}

const keptAsBytes: [name: string, type: string, hex: string][] = [
  ["a NaN with a payload", "01", "010000000000f87f"],
  ["a boolean of 2", "08", "02"],
  ["an array whose keys are not consecutive", "04", "0c000000 10 3100 07000000 00"],
  ["an old binary whose inner length is wrong", "05", "06000000 02 09000000 00ff"],
  ["a decimal with more than 34 digits", "13", "ffffffffffffffffffffffffffff4f30"],
];
for (const [name, type, hex] of keptAsBytes) {
  Deno.test(`BSON: ${name} keeps its bytes`, () => {
    const bytes = single(type, hex);
    const document = readBson(bytes);
    assert.ok(document.values[0] instanceof Special && document.values[0].text.startsWith('{"$bson":'));
    assert.deepEqual(writeBson(document), bytes);
  });
}

Deno.test("readBson() and writeBson() are inverse for any document", () => {
  fc.assert(
    fc.property(bsonDocument, (document) => {
      const bytes = writeBson(document);
      const back = readBson(bytes);
      assert.equal(writeCanonical(back), writeCanonical(document));
      assert.deepEqual(writeBson(back), bytes);
    }),
    { numRuns: 500 },
  );
});

for (const collection of collections) {
  Deno.test(`BSON: every edge case of ${collection} is written with the same bytes`, async () => {
    const documents = splitBson(await readPacked(`odd-bson/${collection}.bson.gz`));
    assert.ok(documents.length >= 18);
    for (const bytes of documents) assert.deepEqual(writeBson(readBson(bytes)), bytes);
  });
}

Deno.test("BSON: duplicate keys are kept", () => {
  const document = new BsonDocument(["a", "b", "a"], [1, 2, 3]);
  assert.ok(isSame(readBson(writeBson(document)), document));
});

Deno.test("BSON: invalid UTF-8 is kept in texts and in keys", () => {
  const cases = [
    "ff",
    "61 c3 62",
    "e2 82",
    "ed a0 bd ed b8 80",
    "c0 80",
    "f4 90 80 80",
    "f0 9f 90",
    "61 80 c3 a9",
  ];
  for (const hex of cases) {
    const bytes = Uint8Array.fromHex(hex.replaceAll(" ", ""));
    const text = decodeUtf8(bytes, 0, bytes.length);
    assert.ok(!text.isWellFormed(), hex);
    assert.deepEqual(encodeUtf8(text), bytes);
    const length = (bytes.length + 1).toString(16).padStart(2, "0");
    const value = single("02", `${length}000000 ${hex} 00`);
    assert.deepEqual(writeBson(readBson(value)), value);
    const key = Uint8Array.fromHex(`000000000a${hex}0000`.replaceAll(" ", ""));
    new DataView(key.buffer).setInt32(0, key.length, true);
    assert.deepEqual(writeBson(readBson(key)), key);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    assert.deepEqual(encodeUtf8(decodeUtf8(bytes, 0, bytes.length)), bytes);
  }));
});

const broken: [name: string, hex: string, at: number, message: RegExp][] = [
  ["a document shorter than its length", "0c000000 10 6100 0700", 0, /length is 12, wanted 5 to 9/],
  ["a length below five", "04000000 00", 0, /length is 4/],
  ["a negative length", "ffffffff 00", 0, /length is -1/],
  ["a document without terminator", "05000000 01", 4, /does not end with 0x00/],
  ["an unknown type", "08000000 20 6100 00", 4, /unknown type 0x20/],
  ["a key without terminator", "07000000 0a 61 00", 5, /name does not end/],
  ["a text longer than the document", "0e000000 02 6100 ff000000 6100 00", 7, /text's length is 255/],
  ["a text of length zero", "0e000000 02 6100 00000000 6100 00", 7, /text's length is 0/],
  ["a text without terminator", "0e000000 02 6100 02000000 6162 00", 12, /text does not end/],
  ["a binary with a negative length", "0d000000 05 6100 ffffffff 00 00", 7, /binary's length is -1/],
  ["a nested document that is too long", "0d000000 03 6100 09000000 00 00", 7, /length is 9/],
  ["bytes after the last field", "06000000 00 00", 4, /ends before its last byte/],
  ["a truncated int64", "0c000000 12 6100 01020304 00", 7, /type 0x12 ends early/],
];
for (const [name, hex, at, message] of broken) {
  Deno.test(`BSON: ${name} is reported with its offset`, () => {
    const bytes = Uint8Array.fromHex(hex.replaceAll(" ", ""));
    for (const work of [readBson, checkBson]) {
      assert.throws(() => work(bytes), (error) => {
        assert.ok(error instanceof BsonError, String(error));
        assert.match(error.message, message);
        assert.equal(error.at, at);
        return true;
      });
    }
  });
}

Deno.test("BSON: a flipped bit yields another document or a BsonError", async () => {
  const [sample] = splitBson(await readPacked("odd-bson/dramatiq_tasks.bson.gz"));
  for (let at = 0; at < sample!.length; at++) {
    for (const bit of [1, 0x80]) {
      const bytes = sample!.slice();
      bytes[at]! ^= bit;
      try {
        checkBson(bytes);
        readBson(bytes);
      } catch (error) {
        assert.ok(error instanceof BsonError, `byte ${at}: ${error}`);
      }
    }
  }
});

Deno.test("BSON: documents are nested up to the maximum depth without a stack overflow", () => {
  const nest = (levels: number) => {
    let document = new BsonDocument([], []);
    for (let i = 0; i < levels; i++) document = new BsonDocument(["a"], [document]);
    return document;
  };
  const deep = writeBson(nest(100));
  assert.deepEqual(writeBson(readBson(deep)), deep);
  let bytes: Uint8Array = deep;
  for (let i = 0; i < 5000; i++) {
    const outer = new Uint8Array(bytes.length + 8);
    new DataView(outer.buffer).setInt32(0, outer.length, true);
    outer.set([3, 0x61, 0], 4);
    outer.set(bytes, 7);
    bytes = outer;
  }
  assert.equal(checkBson(bytes), bytes.length);
  assert.throws(() => readBson(bytes), TooDeepError);
});

Deno.test("writeBson() rejects values that BSON cannot represent, with their path", () => {
  const rejected: [BsonDocument, string, RegExp][] = [
    [new BsonDocument(["a\0b"], [1]), "a\0b", /NUL/],
    [new BsonDocument(["o"], [new BsonDocument(["t"], ["half \ud83d"])]), "o.t", /surrogate/],
    [new BsonDocument(["d"], [new Special('{"$numberDecimal":"many"}')]), "d", /not a Decimal128/],
  ];
  for (const [document, path, message] of rejected) {
    assert.throws(() => writeBson(document), (error: unknown) => {
      assert.ok(error instanceof BsonWriteError);
      assert.equal(error.path, path);
      assert.match(error.message, message);
      return true;
    });
  }
});

const toRawDocuments = (documents: Uint8Array[]) => makeDocuments(documents, 1);
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns the JSON text of a document, or undefined where there is none. */
function jsonOf(raw: RawDocument): string | undefined {
  const json = raw.json();
  return json && strictDecoder.decode(json.bytes.subarray(json.from, json.to));
}

Deno.test("JSON made from BSON yields the same tree, or the document has no JSON", async () => {
  const documents = splitBson(await readPacked("odd-bson/dramatiq_tasks.bson.gz"));
  let withJson = 0;
  for (const raw of toRawDocuments(documents)) {
    const json = jsonOf(raw);
    if (json === undefined) continue;
    withJson++;
    assert.ok(isSame(readDocument(json), raw.read()), json.slice(0, 200));
  }
  assert.ok(withJson > 400, `only ${withJson} of ${documents.length} have JSON`);
  fc.assert(
    fc.property(fc.array(bsonDocument, { minLength: 1, maxLength: 5 }), (trees) => {
      const raws = toRawDocuments(trees.map(writeBson));
      assert.equal(raws.length, trees.length);
      raws.forEach((raw, i) => {
        const json = jsonOf(raw);
        if (json !== undefined) assert.ok(isSame(readDocument(json), trees[i]!), json);
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("JSON made from BSON has dates, numbers and texts like mongoexport", () => {
  const document = new BsonDocument(
    ["_id", "at", "d", "w", "n", "big", "t", "l", "o", "b", "e"],
    [
      new ObjectId(oid),
      new DateMs(1743628611007),
      new Double(0.7),
      new Double(3),
      -12,
      2n ** 40n,
      'a"\\\n',
      Array.from({ length: 12 }, (_, i) => i),
      new BsonDocument(["x"], [null]),
      true,
      new DateMs(-1),
    ],
  );
  assert.equal(
    jsonOf(toRawDocuments([writeBson(document)])[0]!),
    `{"_id":{"$oid":"${oid}"},"at":{"$date":"2025-04-02T21:16:51.007Z"},"d":0.7,"w":3.0,"n":-12,` +
      '"big":1099511627776,"t":"a\\"\\\\\\n","l":[0,1,2,3,4,5,6,7,8,9,10,11],"o":{"x":null},"b":true,' +
      '"e":{"$date":"1969-12-31T23:59:59.999Z"}}',
  );
});
