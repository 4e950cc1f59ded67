/** Changes of rows by the product's own functions, as users and workers make them after the switch. */
import { deleteUser, insertUser, updateUser } from "../../../db/people/users.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { settleSubtasks, type SubtaskRef } from "../../../db/queue/subtasks.ts";
import { startTasks } from "../../../db/queue/tasks.ts";
import { cancelTask, deleteTask } from "../../../jobs/moves/cancel.ts";
import { operator, resumeTask, retryFailed } from "../../../jobs/moves/control.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { claimSubtasks } from "../../../db/queue/subtasks.ts";
import { done, failed, join } from "../../../tests/support/cells.ts";
import type { Random } from "../random.ts";

const worker = "chaos";
const owner = "00000000-0000-4000-8000-000000000000";

function makeTags(scenes: number): { tags: Json[]; variables: JsonObject } {
  const values = Array.from(
    { length: scenes },
    (_, i) => ({ id: String(i), value: `scene ${i}`, weight: 1 }),
  );
  const body = parseJson(JSON.stringify({
    tags: [{ id: "1", type: "prompt", isVariable: true, name: "scene" }],
    variables: { v0: { tag_id: "1", name: "scene", values } },
  })) as JsonObject;
  return { tags: body.get("tags") as Json[], variables: body.get("variables") as JsonObject };
}

/** Makes one change at a time. A failed one may have happened or not, as its answer may be lost. */
export class Moves {
  /** Collection and `legacy_id` of every document that may have changed. */
  readonly changed = new Set<string>();
  #number = 0;
  #owner: string | undefined;

  constructor(readonly sql: Pool, readonly random: Random) {}

  async step(): Promise<void> {
    this.#number++;
    const { sql } = this;
    const deps = { sql, log: silentLog };
    const draw = this.random.next();
    if (draw < 0.2) return await this.#submit();
    if (draw < 0.5) return await this.#settle();
    if (draw < 0.7) return await this.#changeUser();
    const task = await this.#pickTask();
    if (task === undefined) return;
    const request = { taskId: task, userId: operator } as const;
    if (draw < 0.8) await cancelTask(deps, request);
    else if (draw < 0.87) await deleteTask(deps, request);
    else if (draw < 0.93) await retryFailed(deps, request);
    else await sql`update subtasks set rating = 2, evaluate = '{back}' where parent_task_id = ${task}`;
  }

  /** Adds the rows that this system made. */
  async addNew(): Promise<void> {
    const rows = await this.sql<{ collection: string; legacy_id: string }[]>`
      select 'users' as collection, legacy_id from users where generation is null
      union all select 'tasks', legacy_id from tasks where generation is null
      union all select 'dramatiq_tasks', legacy_id from subtasks where generation is null`;
    for (const { collection, legacy_id } of rows) this.changed.add(`${collection}/${legacy_id}`);
  }

  /** Marks a task and its subtasks, any of which a move of the task may change. */
  async #mark(task: string): Promise<void> {
    const rows = await this.sql<{ collection: string; legacy_id: string }[]>`
      select 'tasks' as collection, legacy_id from tasks where id = ${task}
      union all select 'dramatiq_tasks', legacy_id from subtasks where parent_task_id = ${task}`;
    for (const { collection, legacy_id } of rows) this.changed.add(`${collection}/${legacy_id}`);
  }

  async #pickTask(): Promise<string | undefined> {
    const tasks = await this.sql<{ id: string }[]>`select id from tasks where not is_deleted order by id`;
    if (tasks.length === 0) return undefined;
    const { id } = this.random.pick([...tasks]);
    await this.#mark(id);
    return id;
  }

  async #submit(): Promise<void> {
    const user = { id: this.#owner ?? owner, email: "moves@example.com" };
    if (this.#owner === undefined) {
      await this.#addUser(user.email);
      const [row] = await this.sql<{ id: string }[]>`select id from users where email = ${user.email}`;
      this.#owner = row?.id;
      if (row) user.id = row.id;
    }
    const body = makeTags(this.random.between(1, 5));
    const taskName = `born here ${this.#number}`;
    await submitTask(
      { sql: this.sql, log: silentLog },
      Object.assign(body, { user, taskName, settings: new Map() }),
    );
  }

  async #addUser(email: string): Promise<void> {
    await insertUser(this.sql, {
      email,
      hashed_password: "$2b$04$x",
      fullname: "新",
      roles: ["user"],
      is_active: true,
    });
  }

  async #changeUser(): Promise<void> {
    const users = await this.sql<{ id: string; legacy_id: string }[]>`
      select id, legacy_id from users where email <> 'moves@example.com' order by id`;
    if (users.length === 0 || this.random.oneIn(3)) {
      return await this.#addUser(`moved${this.#number}@example.com`);
    }
    const { id, legacy_id } = this.random.pick([...users]);
    this.changed.add(`users/${legacy_id}`);
    if (this.random.oneIn(4)) return void await deleteUser(this.sql, id);
    const email = this.random.oneIn(2) ? { email: `changed${this.#number}@example.com` } : {};
    await updateUser(this.sql, id, Object.assign({ fullname: `name ${this.#number}` }, email));
  }

  /** Claims and settles some cells of a task, as a worker does. */
  async #settle(): Promise<void> {
    const { sql } = this;
    await join(sql, worker).catch(() => {});
    const open = await sql<SubtaskRef[]>`
      select s.parent_task_id as task_id, s.id
      from subtasks s
      join tasks t on t.id = s.parent_task_id
      where s.status = 'pending' and t.status in ('pending', 'processing') and not t.is_deleted
      order by s.parent_task_id, s.id`;
    if (open.length === 0) return;
    const { task_id } = this.random.pick([...open]);
    await this.#mark(task_id);
    await resumeTask({ sql, log: silentLog }, { taskId: task_id, userId: operator });
    const refs = open.filter((ref) => ref.task_id === task_id).slice(0, this.random.between(1, 10));
    const claimed = await claimSubtasks(sql, worker, refs);
    if (claimed.length === 0) return;
    await startTasks(sql, [task_id]);
    await settleSubtasks(sql, claimed.map((one) => this.random.oneIn(3) ? failed(one) : done(one)));
  }
}
