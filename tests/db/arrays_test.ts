/** Array literals: written, read, and exchanged with PostgreSQL. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "postgres-array";
import { writeArray } from "../../db/pg/arrays.ts";
import { createDatabase } from "../support/database.ts";

Deno.test("an array of any texts is equal after writing and reading it", () => {
  const texts = fc.array(fc.option(fc.string({ unit: "binary" })), { maxLength: 8 });
  fc.assert(fc.property(texts, (values) => {
    assert.deepEqual(parse(writeArray(values), (text) => text), values);
  }));
});

Deno.test("PostgreSQL accepts and returns arrays of each type from the first statement of a connection", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  const id = crypto.randomUUID();
  const texts = ["", "NULL", "null", 'a"b\\c', "{x}", "1,2", " 猫 ", "line\nbreak", null];
  const [row] = await sql`
    select ${[id]}::uuid[] as uuids, ${texts}::text[] as texts, ${[1, null, -3]}::int[] as ints,
      ${["9007199254740993"]}::bigint[] as longs, ${["true", "f"]}::boolean[]::text as booleans,
      array[true, null] as flags, ${[]}::text[] as none, array[[1, 2], [3, 4]] as nested, ${[
    1.5,
  ]}::float8[] as floats,
      '[0:1]={7,8}'::int[] as shifted`;
  assert.deepEqual({ ...row }, {
    uuids: [id],
    texts,
    ints: [1, null, -3],
    longs: ["9007199254740993"],
    booleans: "{t,f}",
    flags: [true, null],
    none: [],
    nested: [[1, 2], [3, 4]],
    floats: [1.5],
    shifted: [7, 8],
  });
});
