/** Stored differences as text. */
import assert from "node:assert/strict";
import { formatDifferences, type StoredDifference } from "../../comparison/format_differences.ts";

const difference = (changes: Partial<StoredDifference>): StoredDifference => ({
  route: "GET /api/v1/tasks",
  path: "/data/total",
  cause: "code",
  rule: "",
  answers: 1,
  last_at: "2025-06-01T12:00:00.000Z",
  sample_target: "/api/v1/tasks?page=1",
  sample_old: "3",
  sample_new: "4",
  ...changes,
});

Deno.test("differences are listed by cause, and those that call for a person have a sample", () => {
  const lines = formatDifferences([
    difference({ cause: "intended", rule: "malformed user id", path: "(status)", answers: 1200 }),
    difference({ cause: "data", rule: "a document is in quarantine: bad_value", sample_new: null }),
    difference({}),
  ]);
  assert.deepEqual(lines, [
    "code: the rows are equal, and the answers are not",
    "  GET /api/v1/tasks /data/total (1 answer, last 2025-06-01T12:00:00.000Z)",
    "    asked for  /api/v1/tasks?page=1",
    "    old        3",
    "    new        4",
    "data: rows differ from their documents",
    "  GET /api/v1/tasks /data/total (1 answer, last 2025-06-01T12:00:00.000Z): a document is in quarantine: bad_value",
    "    asked for  /api/v1/tasks?page=1",
    "    old        3",
    "    new        (absent)",
    "intended differences",
    "  GET /api/v1/tasks (status) (1200 answers, last 2025-06-01T12:00:00.000Z): malformed user id",
  ]);
});

Deno.test("no differences are named as such", () =>
  assert.deepEqual(formatDifferences([]), ["no differences"]));
