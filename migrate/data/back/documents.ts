/**
 * Makes the document of a row. Starts from the document that the row had, its original bytes or what the lens rebuilds,
 * maps it to a row again, and changes only the fields whose columns differ from the row as it is now.
 */
import { readValue } from "../documents/ejson_read.ts";
import { BsonDocument, type BsonValue, isSame } from "../documents/tree.ts";
import type { Collection } from "../documents/source.ts";
import type { Row } from "../lens/draft.ts";
import { readIndices, slots } from "../lens/indices.ts";
import { readers } from "../lens/rebuild.ts";
import { tables } from "../lens/tables.ts";

/** The counters of a task's subtasks. */
export interface TaskCounters {
  total: number;
  completed: number;
  failed: number;
  /** True when subtasks of an imported task have ended here. */
  isRecounted: boolean;
}

/** A row with everything that its document depends on. */
export interface SourceRow {
  collection: Collection;
  row: Row;
  /** Present for tasks. */
  counters: TaskCounters | undefined;
  /** The document that the row had, where the lens cannot rebuild it. */
  original: BsonDocument | undefined;
}

type ReadColumn = (text: string | null) => BsonValue;

const { text, whole, flag, time, json } = readers;
const readRoles: ReadColumn = (roles) =>
  roles === null || roles === "{}" ? [] : roles.slice(1, -1).split(",");

/** The columns that may change, in document order, and how their values are read. Each is a field of the same name. */
const columns: Record<Collection, Record<string, ReadColumn>> = {
  users: {
    email: text,
    hashed_password: text,
    fullname: text,
    roles: readRoles,
    is_active: flag,
    created_at: time,
    updated_at: time,
  },
  tasks: {
    task_name: text,
    username: text,
    tags: json,
    variables: json,
    settings: json,
    status: text,
    created_at: time,
    updated_at: time,
    total_images: whole,
    all_subtasks_completed: flag,
    is_deleted: flag,
    priority: whole,
    error: text,
  },
  dramatiq_tasks: {
    variable_indices: readIndices,
    variable_types_map: json,
    type_to_variable: json,
    status: text,
    result: json,
    error: text,
    retry_count: whole,
    prompts: json,
    ratio: text,
    seed: whole,
    use_polish: flag,
    created_at: time,
    updated_at: time,
  },
};

/** A document whose fields are changed. A new field goes to the end, as `$set` puts it. */
class Patch {
  readonly keys: string[];
  readonly values: BsonValue[];

  constructor({ keys, values }: BsonDocument) {
    this.keys = [...keys];
    this.values = [...values];
  }

  has(key: string): boolean {
    return this.keys.includes(key);
  }

  set(key: string, value: BsonValue): void {
    const at = this.keys.indexOf(key);
    if (at >= 0) {
      this.values[at] = value;
      return;
    }
    this.keys.push(key);
    this.values.push(value);
  }

  /** Sets a field that the document has. */
  replace(key: string, value: BsonValue): void {
    if (this.has(key)) this.set(key, value);
  }

  finish(): BsonDocument {
    return new BsonDocument(this.keys, this.values);
  }
}

const floorShare = (part: number, whole: number) => whole === 0 ? 0 : Math.floor((100 * part) / whole);

const countsOf = ({ total, completed, failed }: TaskCounters) => {
  const processed = completed + failed;
  return { processed, progress: floorShare(processed, total) };
};

const generations: Record<Collection, string> = { users: "U", tasks: "T3", dramatiq_tasks: "S4" };

/** Makes the document of a row that was born here: the newest generation that the old backend reads. */
function makeNew({ collection, row, counters }: SourceRow): BsonDocument {
  const born = Object.assign({}, row, { generation: generations[collection] });
  if (counters) {
    const { processed, progress } = countsOf(counters);
    const error = row.error === null ? "" : `,"error":${JSON.stringify(row.error)}`;
    born.extra = `{"processed_images":${processed},"progress":${progress}${error}}`;
  }
  return tables[collection].toDocument(born);
}

/** Documents of the first generations have a field for each slot. */
function setSlots(patch: Patch, indices: string | null): void {
  const list = readIndices(indices);
  slots.forEach((name, i) => {
    const value = Array.isArray(list) ? list[i] ?? null : null;
    const at = patch.keys.indexOf(name);
    if (at < 0 ? value !== null : !isSame(patch.values[at]!, value)) patch.set(name, value);
  });
}

function setCounters(patch: Patch, counters: TaskCounters): void {
  const { processed, progress } = countsOf(counters);
  patch.replace("processed_images", processed);
  patch.replace("progress", progress);
}

/** True where a row is rebuilt exactly: nothing beside its columns, which hold the current values. */
const isPlain = ({ collection, row, original }: SourceRow) =>
  collection !== "tasks" && row.extra === null && original === undefined;

/**
 * Returns the document of a row, as the old backend would have written it.
 *
 * @throws Error when the lens rejects the document that the row had
 */
export function makeDocument(source: SourceRow): BsonDocument {
  const { collection, row, counters, original } = source;
  if (row.generation === null) return makeNew(source);
  const { toDocument, toRow } = tables[collection];
  const base = original ?? toDocument(row);
  if (isPlain(source)) return base;
  const mapped = toRow(base, () => row.parent_task_id ?? undefined);
  if ("rejected" in mapped) {
    throw new Error(`mapping the document of row '${row.id}': ${mapped.rejected.reason}`);
  }
  const before = mapped.row;
  const patch = new Patch(base);
  for (const [column, read] of Object.entries(columns[collection])) {
    if (before[column] === row[column]) continue;
    if (column === "variable_indices" && !patch.has(column) && patch.has("v0")) setSlots(patch, row[column]!);
    else patch.set(column, read(row[column] ?? null));
  }
  if (counters?.isRecounted) setCounters(patch, counters);
  return patch.finish();
}

/** Reads an `_id` that a trigger recorded, see migration.document_id(). */
export const readDeletedId = (id: string): BsonValue => readValue(id, "lossless");
