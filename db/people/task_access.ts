/** Permission to change a task: the one rule, and the look-up that applies it. */
import type { PendingQuery, Row } from "postgres";
import { isUuidOfAnyCase } from "../../uuid.ts";
import type { Sql } from "../pg/connect.ts";

type Fragment = PendingQuery<Row[]>;

/** An authenticated user who changes something. */
export interface Actor {
  id: string;
  email: string;
  isAdmin: boolean;
}

/**
 * The requester of a change: an authenticated user, a user known only by id, or null for an
 * operator.
 */
export type TaskActor = Pick<Actor, "email" | "isAdmin"> | { userId: string } | null;

/** A task together with the requester of its change. */
export interface TaskRef {
  /** Any text. A text that is not a UUID names no task. */
  id: string;
  actor: TaskActor;
}

/** The reason why a change of a task was refused. */
export type Refusal = "not_found" | "forbidden";

/**
 * Returns the SQL condition under which the actor may change a task. Operators and admins may change every
 * task; a user may change the tasks that were submitted under the user's e-mail. The e-mail decides instead
 * of `owner_id` because migrated tasks can exist before the row of their user.
 *
 * @param username the column `username` of the task
 */
export function mayChange(sql: Sql, actor: TaskActor, username: Fragment = sql`username`): Fragment {
  if (actor === null) return sql`true`;
  if ("email" in actor) return sql`(${actor.isAdmin} or ${username} = ${actor.email})`;
  if (!isUuidOfAnyCase(actor.userId)) return sql`false`;
  return sql`(${username} = (select email from users where id = ${actor.userId})) is true`;
}

/** Row locks of PostgreSQL. `update` also waits for claims, which hold a key share of the task's row. */
const locks = { none: "", no_key_update: "for no key update", update: "for update" } as const;

/**
 * Finds a task that the actor may change.
 *
 * @param options.columns the columns of `tasks` to read; `id` if absent
 * @param options.lock the row lock to hold until the transaction ends
 * @param options.includeDeleted finds deleted tasks too
 */
export async function findChangeableTask<Task extends object = { id: string }>(
  sql: Sql,
  { id, actor }: TaskRef,
  { columns = sql`id`, lock = "none", includeDeleted = false }: {
    columns?: Fragment;
    lock?: keyof typeof locks;
    includeDeleted?: boolean;
  } = {},
): Promise<Task | Refusal> {
  if (!isUuidOfAnyCase(id)) return "not_found";
  const deleted = includeDeleted ? sql`` : sql`and not is_deleted`;
  const [row] = await sql<(Task & { may_change: boolean })[]>`
    select ${columns}, ${mayChange(sql, actor)} as may_change
    from tasks
    where id = ${id} ${deleted}
    ${sql.unsafe(locks[lock])}`;
  if (!row) return "not_found";
  const { may_change: isAllowed, ...task } = row;
  return isAllowed ? task as unknown as Task : "forbidden";
}
