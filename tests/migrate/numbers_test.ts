/**
 * Every column that takes an integer reads all number types by the same rules, and keeps the type for the way
 * back.
 */
import assert from "node:assert/strict";
import { readBson } from "../../migrate/data/documents/bson_read.ts";
import { writeBson } from "../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../migrate/data/documents/ejson_read.ts";
import { writeCanonical } from "../../migrate/data/documents/ejson_write.ts";
import type { Collection } from "../../migrate/data/documents/source.ts";
import { tables } from "../../migrate/data/lens/tables.ts";

const parent = "5c9eca9a-6247-42fe-80f6-51ccd3eb17b1";
const id = '"_id":{"$oid":"67eda9dfa1b2c3d4e5440001"}';
const times = '"created_at":{"$date":"2025-04-02T00:00:00Z"},"updated_at":{"$date":"2025-04-02T00:00:00Z"}';

interface NumberCase {
  json: string;
  /** The number in the column; undefined if the column gets none. */
  number?: string;
  rule?: string;
  /** True if the number is too large for int4, but not for int8. */
  isLong?: boolean;
}

const numbers: NumberCase[] = [
  { json: '{"$numberInt":"3"}', number: "3" },
  { json: '{"$numberInt":"-1"}', number: "-1" },
  { json: '{"$numberLong":"3"}', number: "3" },
  { json: '{"$numberLong":"3000000000"}', number: "3000000000", isLong: true },
  { json: '{"$numberDouble":"3.0"}', number: "3" },
  { json: '{"$numberDouble":"-0.0"}', number: "0" },
  { json: '{"$numberDouble":"2147483647.0"}', number: "2147483647" },
  { json: '{"$numberDouble":"2.5"}', rule: "number_not_whole" },
  { json: '{"$numberDouble":"NaN"}', rule: "number_not_whole" },
  { json: '{"$numberDouble":"1e+300"}', rule: "number_out_of_range" },
  { json: '{"$numberDecimal":"3"}', number: "3", rule: "number_from_decimal" },
  { json: '{"$numberDecimal":"3.00"}', number: "3", rule: "number_from_decimal" },
  { json: '{"$numberDecimal":"-3E+1"}', number: "-30", rule: "number_from_decimal" },
  { json: '{"$numberDecimal":"0E-6176"}', number: "0", rule: "number_from_decimal" },
  { json: '{"$numberDecimal":"1.10"}', rule: "number_not_whole" },
  { json: '{"$numberDecimal":"1E-6176"}', rule: "number_not_whole" },
  { json: '{"$numberDecimal":"9.999000000000000000000000000000000E+6144"}', rule: "number_out_of_range" },
  { json: '{"$numberDecimal":"NaN"}', rule: "number_unreadable" },
  { json: '{"$numberDecimal":"-Infinity"}', rule: "number_unreadable" },
  { json: '"3"', number: "3", rule: "number_from_text" },
  { json: '" 3 "', number: "3", rule: "number_from_text" },
  { json: '"3000000000"', number: "3000000000", rule: "number_from_text", isLong: true },
  { json: '"9999999999999999999"', rule: "number_out_of_range" },
  { json: '"3.5"', rule: "number_unreadable" },
  { json: '""', rule: "number_unreadable" },
  { json: "true", rule: "number_unreadable" },
  { json: "[3]", rule: "number_unreadable" },
];

interface Column {
  collection: Collection;
  column: string;
  /** Returns a document's fields with a number; the field is that of the adjustment. */
  fields: (json: string) => string;
  field?: string;
  /** Returns the column's text, where it is not the number alone. */
  toText?: (number: string | undefined) => string;
  fallback?: string | null;
  isInt8?: boolean;
}

const slotText = (slot: number) => (number: string | undefined) =>
  `{${Array.from({ length: 6 }, (_, i) => i === slot ? number ?? "NULL" : "NULL").join()}}`;
const inSlot = (slot: number, json: string) =>
  Array.from({ length: 6 }, (_, i) => `"v${i}":${i === slot ? json : "null"}`).join();

const prompts = '"prompts":[]';
const columns: Record<string, Column> = {
  "tasks.total_images": {
    collection: "tasks",
    column: "total_images",
    fields: (n) => `"total_images":${n}`,
    fallback: "0",
  },
  "tasks.priority": {
    collection: "tasks",
    column: "priority",
    fields: (n) => `"priority":${n}`,
    fallback: "1",
  },
  retry_count: {
    collection: "dramatiq_tasks",
    column: "retry_count",
    fields: (n) => `${prompts},"retry_count":${n}`,
    fallback: "0",
  },
  seed: {
    collection: "dramatiq_tasks",
    column: "seed",
    fields: (n) => `${prompts},"seed":${n}`,
    fallback: null,
    isInt8: true,
  },
  "S4, a list of indices": {
    collection: "dramatiq_tasks",
    column: "variable_indices",
    fields: (n) => `"variable_indices":[null,${n}],${prompts}`,
    toText: (number) => `{NULL,${number ?? "NULL"}}`,
  },
  "S3, a list of indices": {
    collection: "dramatiq_tasks",
    column: "variable_indices",
    fields: (n) => `"variable_indices":[${n}],"prompt":null`,
    toText: (number) => `{${number ?? "NULL"}}`,
  },
  ...Object.fromEntries([0, 5].flatMap((slot): [string, Column][] => [
    [`S4, an object with v${slot}`, {
      collection: "dramatiq_tasks",
      column: "variable_indices",
      fields: (n) => `"variable_indices":{"v${slot}":${n}},${prompts}`,
      toText: slotText(slot),
    }],
    [`S2, v${slot}`, {
      collection: "dramatiq_tasks",
      column: "variable_indices",
      field: `v${slot}`,
      fields: (n) => `${inSlot(slot, n)},"prompt":null`,
      toText: slotText(slot),
    }],
    [`S1, v${slot}`, {
      collection: "dramatiq_tasks",
      column: "variable_indices",
      field: `v${slot}`,
      fields: (n) => `${inSlot(slot, n)},"prompt":null,"dramatiq_message_id":"m"`,
      toText: slotText(slot),
    }],
  ])),
};

for (
  const [name, { collection, column, fields, field = column, toText, fallback, isInt8 }] of Object.entries(
    columns,
  )
) {
  Deno.test(`${name}: numbers of every width and texts give the same number, and map back exactly`, () => {
    for (const { json, number, rule, isLong = false } of numbers) {
      const key = name.startsWith("S1") ? "" : `,"id":"${parent}"`;
      const line = `{${id}${key},"parent_task_id":"${parent}",${fields(json)},"status":"completed",${times}}`;
      const document = readDocument(line);
      const table = tables[collection];
      const mapped = table.toRow(document, () => parent);
      assert.ok("row" in mapped, line);
      const fits = number !== undefined && (!isLong || isInt8 === true);
      const wantedNumber = fits ? number : undefined;
      const unread = toText
        ? "index_unreadable"
        : rule !== undefined && number === undefined
        ? rule
        : "number_out_of_range";
      assert.equal(mapped.row[column], toText ? toText(wantedNumber) : wantedNumber ?? fallback, line);
      const wantedRule = fits ? rule : unread;
      const rules = mapped.adjustments.filter(({ path }) => path === field).map(({ rule }) => rule);
      assert.deepEqual(rules, wantedRule === undefined ? [] : [wantedRule], line);
      const rebuilt = table.toDocument(mapped.row);
      assert.equal(writeCanonical(rebuilt), writeCanonical(document));
      assert.deepEqual(writeBson(rebuilt), writeBson(document));
      assert.equal(
        writeCanonical(readBson(writeBson(document))),
        writeCanonical(document),
        "BSON reads alike",
      );
    }
  });
}

Deno.test("a flag is read from a number of every width", () => {
  for (const json of ["1", '{"$numberLong":"1"}', "1.0", '{"$numberDecimal":"1.0"}', '"1"']) {
    const line = `{${id},"id":"${parent}","parent_task_id":"${parent}",${prompts},"status":"completed",` +
      `"use_polish":${json},${times}}`;
    const mapped = tables.dramatiq_tasks.toRow(readDocument(line), () => parent);
    assert.ok("row" in mapped && mapped.row.use_polish === "t", line);
  }
});
