/**
 * Documents with every type of number in every field that takes one, in the canonical and the relaxed form.
 */
import { writeCanonical, writeFloat } from "../../../migrate/data/documents/ejson_write.ts";
import { readDocument } from "../../../migrate/data/documents/ejson_read.ts";
import type { Collection } from "../../../migrate/data/documents/source.ts";
import { BsonDocument, type BsonValue, DateMs, Double } from "../../../migrate/data/documents/tree.ts";

/** Numbers in canonical form; the first five mean the index 3. */
export const widths: readonly string[] = [
  '{"$numberInt":"3"}',
  '{"$numberLong":"3"}',
  '{"$numberDouble":"3.0"}',
  '{"$numberDecimal":"3"}',
  '"3"',
  '{"$numberDecimal":"3.0"}',
  '{"$numberDouble":"-0.0"}',
  '{"$numberDouble":"2.5"}',
  '{"$numberDouble":"1e+16"}',
  '{"$numberLong":"9007199254740993"}',
  '{"$numberDecimal":"1.10"}',
  '{"$numberDecimal":"NaN"}',
  '"x"',
  "true",
  "null",
];

const task = "5c9eca9a-6247-42fe-80f6-51ccd3eb17b1";
const times = '"created_at":{"$date":{"$numberLong":"1743628611270"}},' +
  '"updated_at":{"$date":{"$numberLong":"1743628611270"}}';

/** Fields of a subtask with a number, by generation; S4 has its indices as a list or as an object. */
const subtaskFields: ((number: string) => string)[] = [
  (n) => `"variable_indices":[${n},null],"prompts":[]`,
  (n) => `"variable_indices":{"v0":null,"v1":${n}},"prompts":[]`,
  (n) => `"variable_indices":[null,${n},{"$numberInt":"1"}],"prompt":null`,
  (n) => `"v0":{"$numberInt":"0"},"v1":${n},"v2":null,"v3":null,"v4":null,"v5":${n},"prompt":null`,
];

const idOf = (collection: number, number: number) =>
  `{"$oid":"67eda9df${collection}0000000${String(number).padStart(8, "0")}"}`;
const uuidOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

function makeSubtasks(): string[] {
  const lines: string[] = [];
  for (const width of widths) {
    for (const fields of subtaskFields) {
      for (const hasId of [true, false]) {
        const number = lines.length;
        const id = hasId ? `"id":"${uuidOf(number)}",` : "";
        lines.push(
          `{"_id":${idOf(3, number)},${id}"parent_task_id":"${task}",${fields(width)},"status":"completed",` +
            `"result":{"url":"https://x/${number}","width":${width}},"error":null,"retry_count":${width},` +
            `"ratio":"1:1","seed":${width},"use_polish":${width},${times}}`,
        );
      }
    }
  }
  return lines;
}

const makeTasks = (): string[] =>
  widths.map((width, i) =>
    `{"_id":${idOf(2, i)},"id":"${i === 0 ? task : uuidOf(i)}","task_name":"t","username":"a@b","tags":[],` +
    `"variables":{"v0":{"values_count":${width}}},"settings":{},"status":"completed",${times},` +
    `"total_images":${width},"all_subtasks_completed":${width},"is_deleted":false,"priority":${width}}`
  );

const makeUsers = (): string[] =>
  widths.map((width, i) =>
    `{"_id":${
      idOf(1, i)
    },"email":"${i}@b","hashed_password":"x","fullname":"u","roles":[],"is_active":${width},${times}}`
  );

/** Writes a value as mongoexport does by default. */
function writeRelaxed(value: BsonValue): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (value instanceof Double && Number.isFinite(value.value)) return writeFloat(value.value);
  if (value instanceof DateMs) return `{"$date":"${new Date(Number(value.ms)).toISOString()}"}`;
  if (Array.isArray(value)) return `[${value.map(writeRelaxed).join()}]`;
  if (!(value instanceof BsonDocument)) return writeCanonical(value);
  return `{${value.keys.map((key, i) => `${JSON.stringify(key)}:${writeRelaxed(value.values[i]!)}`).join()}}`;
}

/** The documents, in the canonical and in the relaxed form. */
export function makeWidths(): Record<"canonical" | "relaxed", Record<Collection, string[]>> {
  const canonical = { users: makeUsers(), tasks: makeTasks(), dramatiq_tasks: makeSubtasks() };
  const relax = (lines: string[]) => lines.map((line) => writeRelaxed(readDocument(line)));
  return {
    canonical,
    relaxed: {
      users: relax(canonical.users),
      tasks: relax(canonical.tasks),
      dramatiq_tasks: relax(canonical.dramatiq_tasks),
    },
  };
}
