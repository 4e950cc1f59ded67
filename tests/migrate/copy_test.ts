import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { copyDigest, copyIn, copyOut, decodeLine, encodeLine } from "../../migrate/data/tools/copy.ts";
import { isStorable } from "../../migrate/data/documents/ejson_write.ts";
import { connect } from "../../db/pg/connect.ts";
import { createDatabase } from "../support/database.ts";

const storableText = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("\\", "\t", "\n", "\r", "\b", "\f", "\v", "N", ".", "x41", "樱") }),
).filter(isStorable);
const field = fc.option(storableText, { nil: null });
const encoder = new TextEncoder();

Deno.test("decodeLine() returns the fields that encodeLine() encoded", () => {
  fc.assert(
    fc.property(fc.array(field, { minLength: 1, maxLength: 5 }), (fields) => {
      const line = encodeLine(fields);
      assert.ok(!/[\n\r]/.test(line));
      assert.deepEqual(decodeLine(line), fields);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("PostgreSQL reads the encoded text as the same fields and prints the same text", async () => {
  await using database = await createDatabase();
  const rows = fc.sample(fc.tuple(field, field), { numRuns: 2000, seed: 7 });
  const lines = rows.map(encodeLine);
  const sql = await database.sql.reserve();
  try {
    await sql`create temporary table fuzz (n integer generated always as identity, a text, b text)`;
    await copyIn(sql, "copy fuzz (a, b) from stdin", [
      encoder.encode(lines.map((line) => `${line}\n`).join("")),
    ]);
    const stored = await sql`select a, b from fuzz order by n`;
    assert.deepEqual(stored.map(({ a, b }) => [a, b]), rows);
    const printed: string[] = [];
    for await (const line of copyOut(sql, "copy (select a, b from fuzz order by n) to stdout")) {
      printed.push(line);
    }
    assert.deepEqual(printed, lines);
    const text = lines.map((line) => `${line}\n`).join("");
    assert.equal(
      await copyDigest(sql, "copy (select a, b from fuzz order by n) to stdout"),
      createHash("sha256").update(text).digest("hex"),
    );
  } finally {
    sql.release();
  }
});

Deno.test("a COPY that the server rejects fails instead of hanging, even after the last chunk", async () => {
  await using database = await createDatabase();
  const cases: [string, string, RegExp][] = [
    ["a bad number", "1\nx\n", /integer/],
    ["a duplicate key, found at the end", "1\n1\n", /duplicate key/],
    ["too many fields", "1\t2\n", /extra data/],
  ];
  for (const [what, content, wanted] of cases) {
    const pool = connect(database.url, { max: 1 });
    const sql = await pool.reserve();
    await sql`create temporary table picky (n integer primary key)`;
    await assert.rejects(copyIn(sql, "copy picky (n) from stdin", [encoder.encode(content)]), wanted, what);
    await pool.end({ timeout: 0 });
  }
});

Deno.test("a COPY that ends in an error after its first rows fails instead of hanging", async () => {
  await using database = await createDatabase();
  const statement =
    "copy (select 1 / (90000 - n), repeat('x', 500) from generate_series(1, 100000) n) to stdout";
  const readers = [
    async (sql: Parameters<typeof copyOut>[0]) => await Array.fromAsync(copyOut(sql, statement)),
    async (sql: Parameters<typeof copyOut>[0]) => await copyDigest(sql, statement),
  ];
  for (const read of readers) {
    const pool = connect(database.url, { max: 1 });
    const sql = await pool.reserve();
    await assert.rejects(read(sql), /division by zero/);
    await pool.end({ timeout: 0 });
  }
});
