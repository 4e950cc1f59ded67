/** Dates in Extended JSON are read as mongoimport reads them; anything else is no date and is recorded. */
import assert from "node:assert/strict";
import { readBson } from "../../migrate/data/documents/bson_read.ts";
import { writeBson } from "../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../migrate/data/documents/ejson_read.ts";
import { writeCanonical } from "../../migrate/data/documents/ejson_write.ts";
import { readDateTag, readIsoText } from "../../migrate/data/documents/times.ts";
import { DateMs } from "../../migrate/data/documents/tree.ts";
import { tables } from "../../migrate/data/lens/tables.ts";
import type { Collection } from "../../migrate/data/documents/source.ts";
import { toFastLine } from "./support/fast_line.ts";

const nonexistent = "nonexistent";
const noDate = undefined;

/** Texts of `$date` with the milliseconds that mongoimport 100.14 stores, recorded from Go's time.Parse. */
const tags: [text: string, wanted: number | "nonexistent" | undefined][] = [
  ["2025-01-01T07:04:05Z", 1735715045000],
  ["2025-01-01T07:04:05.1Z", 1735715045100],
  ["2025-01-01T07:04:05,123Z", 1735715045123],
  ["2025-01-01T07:04:05.123456789Z", 1735715045123],
  ["2025-01-01T07:04:05.12345678901234Z", 1735715045123],
  ["1969-12-31T23:59:59.9999Z", -1],
  ["2025-01-01T7:04:05Z", 1735715045000],
  ["2025-01-01T07:04:05+0800", 1735686245000],
  ["2025-01-01T07:04:05+08:00", 1735686245000],
  ["2025-01-01T07:04:05-00:00", 1735715045000],
  ["2025-01-01T07:04:05+24:60", 1735625045000],
  ["0000-01-01T00:00:00Z", -62167219200000],
  ["2024-02-29T00:00:00Z", 1709164800000],
  ["2000-02-29T00:00:00Z", 951782400000],
  ["2025-02-30T00:00:00Z", nonexistent],
  ["2025-02-29T00:00:00Z", nonexistent],
  ["1900-02-29T00:00:00Z", nonexistent],
  ["2025-04-31T00:00:00Z", nonexistent],
  ["2025-06-31T00:00:00Z", nonexistent],
  ["2025-13-01T00:00:00Z", nonexistent],
  ["2025-00-10T00:00:00Z", nonexistent],
  ["2025-01-00T00:00:00Z", nonexistent],
  ["2025-01-01T24:00:00Z", nonexistent],
  ["2025-01-01T07:60:05Z", nonexistent],
  ["2016-12-31T23:59:60Z", nonexistent],
  ["2025-01-01T07:04:05+25:00", nonexistent],
  ["2025-01-01T07:04:05+0061", nonexistent],
  ["2025-1-01T07:04:05Z", noDate],
  ["2025-01-1T07:04:05Z", noDate],
  ["2025-01-01T07:4:05Z", noDate],
  ["2025-01-01T07:04:5Z", noDate],
  ["2025-01-01T07:04Z", noDate],
  ["2025-01-01T07:04:05+08", noDate],
  ["2025-01-01T07:04:05+8:00", noDate],
  ["2025-01-01T07:04:05", noDate],
  ["2025-01-01", noDate],
  ["2025-01-01t07:04:05Z", noDate],
  ["2025-01-01T07:04:05z", noDate],
  ["2025-01-01 07:04:05Z", noDate],
  ["2025-01-01T07:04:05 Z", noDate],
  ["2025-01-01T07:04:05.Z", noDate],
  ["2025-01-01T07:04:05GMT", noDate],
  ["2025-01-01T07:04:05Z\n", noDate],
  ["10000-01-01T00:00:00Z", noDate],
  ["+010000-01-01T00:00:00Z", noDate],
  ["-000001-01-01T00:00:00Z", noDate],
  ["Wed, 02 Apr 2025 21:16:51 GMT", noDate],
  ["", noDate],
];

/** The time in the `_id` of every document below. */
const idTime = "2025-04-02 21:19:27+00";
const id = '"_id":{"$oid":"67eda9dfa1b2c3d4e5440001"}';
const parent = "5c9eca9a-6247-42fe-80f6-51ccd3eb17b1";
/** A valid document of each collection without its times. */
const others: Record<Collection, string> = {
  users: `{${id},"email":"a@b","hashed_password":"x"`,
  tasks: `{${id},"id":"${parent}","status":"completed"`,
  dramatiq_tasks: `{${id},"id":"${parent}","parent_task_id":"${parent}","status":"completed"`,
};

Deno.test("readDateTag() accepts what mongoimport accepts, with the same result, and nothing else", () => {
  for (const [text, wanted] of tags) assert.equal(readDateTag(text), wanted, JSON.stringify(text));
});

Deno.test("a date that mongoimport rejects is an adjustment in every collection; its text is kept", () => {
  for (const [collection, table] of Object.entries(tables) as [Collection, (typeof tables)[Collection]][]) {
    for (const [text, wanted] of tags) {
      const date = `{"$date":${JSON.stringify(text)}}`;
      const line = `${
        others[collection]
      },"created_at":${date},"updated_at":{"$date":"2025-05-05T00:00:00Z"}}`;
      const document = readDocument(line);
      const mapped = table.toRow(document, () => parent);
      assert.ok("row" in mapped, line);
      const rules = mapped.adjustments.filter(({ path }) => path === "created_at").map(({ rule }) => rule);
      if (typeof wanted === "number") {
        assert.deepEqual(rules, [], line);
        assert.ok(document.get("created_at") instanceof DateMs);
      } else {
        assert.deepEqual(rules, [wanted === nonexistent ? "time_nonexistent" : "time_no_date"], line);
        assert.equal(mapped.row.created_at, idTime);
        assert.match(mapped.row.extra!, /"created_at":/);
      }
      const rebuilt = table.toDocument(mapped.row);
      assert.equal(writeCanonical(rebuilt), writeCanonical(document));
      assert.deepEqual(writeBson(rebuilt), writeBson(document));
      assert.equal(writeCanonical(readBson(writeBson(rebuilt))), writeCanonical(document));
    }
  }
});

Deno.test("values of a date field that are no dates are told from missing ones", () => {
  const cases: [json: string | undefined, rule: string][] = [
    [undefined, "time_missing"],
    ["null", "time_missing"],
    ['{"$timestamp":{"t":1,"i":1}}', "time_no_date"],
    ['{"$numberLong":"1743628767000"}', "time_no_date"],
    ["1743628767", "time_no_date"],
    ["true", "time_no_date"],
    ['"yesterday"', "time_no_date"],
    ['""', "time_no_date"],
    ['{"$date":"2025-04-02T21:16:51Z","tz":"CST"}', "time_no_date"],
    ['{"$date":{"$numberDouble":"NaN"}}', "time_no_date"],
    ['"2016-12-31T23:59:60+00:00"', "time_nonexistent"],
    ['"2025-02-30 07:40:46"', "time_nonexistent"],
    ['"2025-05-13T24:00:00"', "time_nonexistent"],
    ['"2025-05-13T24:30"', "time_nonexistent"],
    ['"2025-05-13T07:40:46+24:00"', "time_nonexistent"],
    ['"2025-05-13T07:40:46+08:60"', "time_nonexistent"],
    ['"2025-05-13T07:40:46+08"', "time_from_text"],
  ];
  for (const [json, rule] of cases) {
    const field = json === undefined ? "" : `,"created_at":${json}`;
    const mapped = tables.users.toRow(
      readDocument(`${others.users}${field},"updated_at":{"$date":"2025-05-05T00:00:00Z"}}`),
      () => parent,
    );
    assert.ok("row" in mapped);
    assert.deepEqual(mapped.adjustments, [{ rule, path: "created_at" }], json ?? "missing");
    if (rule !== "time_from_text") assert.equal(mapped.row.created_at, idTime, json ?? "missing");
  }
});

Deno.test("readIsoText() knows the calendar: every day of four years exists, and no 29th to 31st that does not", () => {
  for (const year of [1900, 2000, 2024, 2025]) {
    for (let month = 1; month <= 12; month++) {
      const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
      for (let day = 1; day <= 31; day++) {
        const text = `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}T00:00:00`;
        const wanted = day <= days ? Date.UTC(year, month - 1, day) : nonexistent;
        assert.equal(readIsoText(text), wanted, text);
        assert.equal(readDateTag(`${text}Z`), wanted, text);
      }
    }
  }
});

Deno.test("the fast path takes no day that does not exist", () => {
  const line = (day: string) =>
    `{${id},"id":"${parent}","parent_task_id":"${parent}","variable_indices":[0],"variable_types_map":{},` +
    `"type_to_variable":{},"status":"completed","result":null,"error":null,"retry_count":0,"prompts":[],` +
    `"ratio":"1:1","seed":1,"use_polish":false,"created_at":{"$date":"${day}T00:00:00Z"},` +
    `"updated_at":{"$date":"2025-04-02T00:00:00Z"}}`;
  for (const day of ["2024-02-29", "2025-04-30", "2025-12-31"]) {
    assert.ok(toFastLine(line(day), (name) => name), day);
  }
  for (const day of ["2025-02-29", "2025-02-30", "2025-04-31", "1900-02-29"]) {
    assert.equal(toFastLine(line(day), (name) => name), undefined, day);
  }
});
