/** The names by which subtasks refer to tasks, kept in step with the tasks that are applied. */
import type { Sql } from "../../../db/pg/connect.ts";

interface NamedTask {
  id: string;
  legacyId: string;
  /** The task's uuid and the ids of its document. */
  names: string[];
}

/** Returns the names of a task by its row. */
export function namesOf({ id, extra }: { id: string; extra: string | null }): string[] {
  if (extra === null) return [id];
  const fields = JSON.parse(extra) as Record<string, unknown>;
  const own = [fields.id, fields.task_uuid].filter((name): name is string =>
    typeof name === "string" && name !== ""
  );
  return [id, ...own];
}

/** All tasks by name. A task's own names take precedence over `_id`s, as in a load. */
export class Parents {
  readonly #tasks = new Map<string, NamedTask>();
  readonly #byName = new Map<string, string>();
  readonly #byLegacyId = new Map<string, string>();

  /** Reads the names of all tasks. Of two tasks with one name, the older one has it. */
  static async read(sql: Sql): Promise<Parents> {
    const parents = new Parents();
    const rows = sql<{ id: string; legacy_id: string; extra: string | null }[]>`
      select id::text as id, legacy_id, extra::text as extra
      from tasks
      order by legacy_id`;
    await rows.cursor(10_000, (part) => {
      for (const { id, legacy_id, extra } of part) {
        parents.add({ id, legacyId: legacy_id, names: namesOf({ id, extra }) });
      }
    });
    return parents;
  }

  find(name: string): string | undefined {
    return this.#byName.get(name) ?? this.#byLegacyId.get(name);
  }

  /** Adds a task, or replaces its names. */
  add(task: NamedTask): void {
    this.remove(task.id);
    this.#tasks.set(task.id, task);
    for (const name of task.names) if (!this.#byName.has(name)) this.#byName.set(name, task.id);
    this.#byLegacyId.set(task.legacyId, task.id);
  }

  remove(id: string): void {
    const task = this.#tasks.get(id);
    if (!task) return;
    this.#tasks.delete(id);
    for (const name of task.names) if (this.#byName.get(name) === id) this.#byName.delete(name);
    if (this.#byLegacyId.get(task.legacyId) === id) this.#byLegacyId.delete(task.legacyId);
  }
}
