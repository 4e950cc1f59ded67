/** The ledger of the load clients: what each acknowledged write must have left, and what the systems have. */
import type { Db } from "mongodb";
import type { Sql } from "../../db/pg/connect.ts";

/** A task or a user that a client has made. */
export interface Entry {
  kind: "task" | "user";
  /** Name of the task or e-mail of the user, unique among all clients. */
  name: string;
  /** Undefined while it is not known whether it was made. */
  id: string | undefined;
  /** What it may be in the end: for a task `there` or `deleted`, for a user the full name. */
  states: Set<string>;
  /** Times in ms since 1970 between which its creation was acknowledged: from the request to the answer. */
  made: [from: number, to: number] | undefined;
}

/** What a system has under each name: the id and the state of every document or row of that name. */
export type Found = Map<string, { id: string; state: string }[]>;

function add(found: Found, name: string, id: string, state: string): void {
  const list = found.get(name) ?? [];
  list.push({ id, state });
  found.set(name, list);
}

const taskState = (isDeleted: boolean): string => isDeleted ? "deleted" : "there";

/** Reads the tasks and users of MongoDB. */
export async function readDocuments(db: Db): Promise<Found> {
  const found: Found = new Map();
  for (const { task_name, id, is_deleted } of await db.collection("tasks").find().toArray()) {
    add(found, task_name, id, taskState(is_deleted));
  }
  for (const { _id, email, fullname } of await db.collection("users").find().toArray()) {
    add(found, email, String(_id), fullname);
  }
  return found;
}

/** Reads the tasks and users of PostgreSQL. */
export async function readRows(sql: Sql): Promise<Found> {
  const found: Found = new Map();
  const tasks = await sql`select id::text as id, task_name, is_deleted from tasks`;
  for (const { id, task_name, is_deleted } of tasks) add(found, task_name, id, taskState(is_deleted));
  const users = await sql`select legacy_id, email, fullname from users`;
  for (const { legacy_id, email, fullname } of users) add(found, email, legacy_id, fullname);
  return found;
}

/**
 * Returns what a system contradicts: each acknowledged write must be there once, as it was acknowledged, and one of
 * unknown outcome at most once.
 *
 * @param who the system, for the texts
 */
export function checkEntries(found: Found, entries: Iterable<Entry>, who: string): string[] {
  const faults: string[] = [];
  for (const { kind, name, id, states } of entries) {
    const list = found.get(name) ?? [];
    const what = `${who}: ${kind} '${name}'`;
    if (list.length > 1) faults.push(`${what} is there ${list.length} times`);
    if (id === undefined) continue;
    const [one] = list;
    if (!one) faults.push(`${what} (${id}) was acknowledged and is lost`);
    else if (one.id !== id) faults.push(`${what} is ${one.id}, acknowledged as ${id}`);
    else if (!states.has(one.state)) {
      faults.push(`${what} (${id}): wanted ${[...states].join(" or ")}, found ${one.state}`);
    }
  }
  return faults;
}
