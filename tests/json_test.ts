import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatFloat,
  int,
  type Json,
  JsonLimitError,
  JsonNumber,
  JsonSyntaxError,
  parseJson,
  stringifyJson,
} from "../json.ts";

const rewrite = (text: string) => stringifyJson(parseJson(text));

/** Converts a value to what JSON.parse returns. */
function toPlain(value: Json): unknown {
  if (value instanceof JsonNumber) return value.value;
  if (Array.isArray(value)) return value.map(toPlain);
  if (value instanceof Map) {
    const plain: Record<string, unknown> = {};
    for (const [key, item] of value) {
      Object.defineProperty(plain, key, {
        value: toPlain(item),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
    return plain;
  }
  return value;
}

// Results of CPython 3.11's json.loads.
const rejected: [text: string, msg: string, position: number][] = [
  ["", "Expecting value", 0],
  ["   ", "Expecting value", 3],
  ["\n\n😀", "Expecting value", 2],
  ["{", "Expecting property name enclosed in double quotes", 1],
  ["{,}", "Expecting property name enclosed in double quotes", 1],
  ['{"a":1,}', "Expecting property name enclosed in double quotes", 7],
  ["{'a':1}", "Expecting property name enclosed in double quotes", 1],
  ["{1:2}", "Expecting property name enclosed in double quotes", 1],
  ['{"a"}', "Expecting ':' delimiter", 4],
  ['{"a" 1}', "Expecting ':' delimiter", 5],
  ['{"a":}', "Expecting value", 5],
  ['{"a":1 "b":2}', "Expecting ',' delimiter", 7],
  ['{"a":1', "Expecting ',' delimiter", 6],
  ["[1,]", "Expecting value", 3],
  ["[,]", "Expecting value", 1],
  ["[1 2]", "Expecting ',' delimiter", 3],
  ["[", "Expecting value", 1],
  ["[1", "Expecting ',' delimiter", 2],
  ["nul", "Expecting value", 0],
  ["-", "Expecting value", 0],
  ["+1", "Expecting value", 0],
  [".5", "Expecting value", 0],
  ["01", "Extra data", 1],
  ["1.", "Extra data", 1],
  ["1e", "Extra data", 1],
  ["1 2", "Extra data", 2],
  ['{"😀":1}😀x', "Extra data", 7],
  ["//x\n1", "Expecting value", 0],
  ["\ufeff1", "Expecting value", 0],
  ['"abc', "Unterminated string starting at", 0],
  ['["😀", "abc\\', "Unterminated string starting at", 6],
  ['"a\tb"', "Invalid control character at", 2],
  ['"a\0', "Invalid control character at", 2],
  ['"\\x"', "Invalid \\escape", 1],
  ['"\\u12"', "Invalid \\uXXXX escape", 2],
  ['"\\u12g4"', "Invalid \\uXXXX escape", 2],
  ['"\\u1234', "Invalid \\uXXXX escape", 2],
  ['"\\ud83d\\uzzzz"', "Invalid \\uXXXX escape", 8],
];
for (const [text, msg, position] of rejected) {
  Deno.test(`parseJson() rejects ${JSON.stringify(text)} with Python's message`, () => {
    assert.throws(
      () => parseJson(text),
      (error) => error instanceof JsonSyntaxError && error.msg === msg && error.position === position,
    );
  });
}

const accepted: [text: string, written: string][] = [
  [" [ 1 , 2.50 , -0 , -0.0 ] ", "[1,2.5,0,-0.0]"],
  ["1e5", "100000.0"],
  ["1E16", "1e+16"],
  ["0.00001", "1e-05"],
  ["0.0001", "0.0001"],
  ["5e-324", "5e-324"],
  ["123456789012345678.0", "1.2345678901234568e+17"],
  ["12345678901234567890123", "12345678901234567890123"],
  ['{"b":1,"10":2,"2":3}', '{"b":1,"10":2,"2":3}'],
  ['{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'],
  ['{"__proto__":{"x":1},"constructor":2}', '{"__proto__":{"x":1},"constructor":2}'],
  ['"\\u0000\\ud800 \\ud83d\\ude00 \\u00e9\\/\\u2028"', '"\\u0000\\ud800 😀 é/\u2028"'],
  ['{"":[],"x":{}}', '{"":[],"x":{}}'],
];
for (const [text, written] of accepted) {
  Deno.test(`parseJson() and stringifyJson() turn ${text} into ${written}`, () => {
    assert.equal(rewrite(text), written);
    assert.equal(rewrite(written), written);
  });
}

Deno.test("parseJson() reads the same values as JSON.parse", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
    const text = JSON.stringify(value);
    assert.deepEqual(toPlain(parseJson(text)), JSON.parse(text));
    assert.deepEqual(JSON.parse(rewrite(text)), JSON.parse(text));
  }));
});

Deno.test("parseJson() accepts the same texts as JSON.parse", () => {
  const letters = [...'{}[]:,"\\u0159ntrfale-+.E \n\t😀\0'];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...letters), { maxLength: 12 }), (parts) => {
      const text = parts.join("");
      let plain: unknown;
      try {
        plain = JSON.parse(text);
      } catch {
        assert.throws(() => parseJson(text), JsonSyntaxError);
        return;
      }
      assert.deepEqual(toPlain(parseJson(text)), plain === 0 ? toPlain(parseJson(text)) : plain);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("formatFloat() writes every double so that reading it returns the same double", () => {
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
    const text = formatFloat(value);
    assert.ok(Object.is(Number(text), value), text);
    assert.match(text, /[.e]/);
  }));
});

Deno.test("stringifyJson() escapes NUL and lone surrogates, which PostgreSQL's json rejects", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const written = stringifyJson([text]);
    assert.ok(!written.includes("\0") && written.isWellFormed());
    assert.deepEqual(parseJson(written), [text]);
  }));
});

Deno.test("parseJson() accepts NaN and Infinity as not finite, and stringifyJson() rejects them", () => {
  for (const text of ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"]) {
    const value = parseJson(`[${text}]`);
    assert.ok(Array.isArray(value) && value[0] instanceof JsonNumber && !value[0].isFinite, text);
    assert.throws(() => stringifyJson(value), RangeError);
  }
  assert.ok(int(10n ** 400n).isFinite, "an integer of 400 digits is finite");
});

Deno.test("parseJson() limits the number of values, including containers", () => {
  const text = '{"a":[1,"b",{}],"c":null}';
  assert.equal(stringifyJson(parseJson(text, 900, 6)), text);
  assert.throws(() => parseJson(text, 900, 5), { name: "JsonLimitError", limit: "values" });
});

Deno.test("parseJson() rejects a million levels without a stack overflow", () => {
  assert.throws(() => parseJson("[".repeat(1_000_000)), JsonLimitError);
  assert.throws(() => parseJson('{"a":'.repeat(1_000_000)), JsonLimitError);
  assert.equal(rewrite("[".repeat(900) + "]".repeat(900)), "[".repeat(900) + "]".repeat(900));
  assert.throws(() => parseJson("[[]]", 1), JsonLimitError);
});

Deno.test("parseJson() limits integers to 4,300 digits", () => {
  assert.throws(() => parseJson("9".repeat(4301)), JsonLimitError);
  assert.equal(rewrite("9".repeat(4300)), "9".repeat(4300));
});

Deno.test("int() writes integers beyond 2^53 exactly", () => {
  assert.equal(stringifyJson([int(2n ** 64n), int(-1)]), "[18446744073709551616,-1]");
  assert.ok(int(5).isInteger && !new JsonNumber("5.0").isInteger);
});
