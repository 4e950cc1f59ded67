/** The documents before the first phase. */
import type { Db, Document } from "mongodb";
import {
  completed,
  makeSubtask,
  makeTask,
  makeUser,
} from "../../../tests/migrate/support/legacy_documents.ts";

const subtasksEach = 3;

/** Whose documents nobody changes. */
export const stillEmail = "still@example.com";

/** Inserts tasks with completed subtasks, of which nobody changes any. */
export async function fill({ db }: { db: Db }, count: number): Promise<void> {
  await db.collection("users").insertOne(makeUser(stillEmail) as Document);
  const tasks = Array.from({ length: count }, () => makeTask(stillEmail));
  const subtasks = tasks.flatMap(({ id }) =>
    Array.from(
      { length: subtasksEach },
      (_, i) => Object.assign(makeSubtask(id, i), completed(`https://img.example.com/${i}.webp`)),
    )
  );
  await db.collection("tasks").insertMany(tasks as Document[]);
  await db.collection("dramatiq_tasks").insertMany(subtasks as Document[]);
}

/** Documents that nobody changes, as bytes by collection and place. */
export type Still = Map<string, Uint8Array>;

/** Reads the documents that nobody changes. */
export async function readStill({ db }: { db: Db }): Promise<Still> {
  const ids = (await db.collection("tasks").find({ username: stillEmail }).toArray()).map(({ id }) => id);
  const filters = {
    users: { email: stillEmail },
    tasks: { username: stillEmail },
    dramatiq_tasks: { parent_task_id: { $in: ids } },
  };
  const still: Still = new Map();
  for (const [name, filter] of Object.entries(filters)) {
    const list = await db.collection(name).find(filter, { raw: true }).sort({ _id: 1 }).toArray();
    for (const [i, bytes] of list.entries()) still.set(`${name} ${i}`, bytes as unknown as Uint8Array);
  }
  return still;
}
