/** A writer that changes a followed MongoDB as fast as it can, beside a test. */
import { MongoClient } from "mongodb";
import type { Pool } from "../../../db/pg/connect.ts";
import { findFollow } from "../../../migrate/data/sync/state.ts";
import { waitFor } from "../../support/wait.ts";
import { databaseName, type Followed } from "./followed.ts";
import { completed, makeSubtask, makeTask, makeUser } from "./legacy_documents.ts";

export interface LiveWriter extends AsyncDisposable {
  /** Number of changes so far. */
  writes(): number;
  /** Waits until the first copy is complete. */
  waitForFollowing(sql: Pool): Promise<void>;
}

const subtasksMax = 2000;
const random = (count: number) => Math.floor(Math.random() * count);

/** Returns the bulk of one round: inserts, updates, replacements, deletions and a return to an earlier state. */
function makeRound(tasks: string[], subtasks: ReturnType<typeof makeSubtask>[]) {
  const operations = [];
  const picked = new Set<number>();
  for (let i = 0; i < 200 && subtasks.length > 0; i++) picked.add(random(subtasks.length));
  for (const at of picked) {
    const { _id } = subtasks[at]!;
    const kind = random(4);
    if (kind === 0) operations.push({ replaceOne: { filter: { _id }, replacement: subtasks[at]! } });
    else if (kind === 1) {
      operations.push({
        updateOne: { filter: { _id }, update: { $set: completed(`https://x/${random(3)}.webp`) } },
      });
    } else if (kind === 2) {
      operations.push({
        updateOne: { filter: { _id }, update: { $set: { status: "failed", error: "no" } } },
      });
    } else operations.push({ updateOne: { filter: { _id }, update: { $inc: { retry_count: 1 } } } });
  }
  for (let i = 0; i < 20; i++) {
    if (subtasks.length > subtasksMax) {
      const [{ _id }] = subtasks.splice(random(subtasks.length), 1) as [ReturnType<typeof makeSubtask>];
      operations.push({ deleteOne: { filter: { _id } } });
    }
    // Some have no task, so they wait.
    const task = random(20) === 0 ? crypto.randomUUID() : tasks[random(tasks.length)]!;
    const subtask = makeSubtask(task, random(100));
    subtasks.push(subtask);
    operations.push({ insertOne: { document: subtask } });
  }
  return operations;
}

/** Starts a writer on users, tasks and subtasks of its own. */
export async function startWriter({ mongo }: Followed): Promise<LiveWriter> {
  const client = new MongoClient(mongo.url);
  const db = client.db(databaseName);
  const users = [makeUser("w0@example.com"), makeUser("w1@example.com"), makeUser("w2@example.com")];
  const tasks = Array.from({ length: 20 }, (_, i) => makeTask(users[i % 3]!.email));
  await db.collection("users").insertMany(users);
  await db.collection("tasks").insertMany(tasks);
  const subtasks: ReturnType<typeof makeSubtask>[] = [];
  let writes = 0;
  let isStopped = false;
  const work = async () => {
    while (!isStopped) {
      const round = makeRound(tasks.map(({ id }) => id), subtasks);
      await db.collection("dramatiq_tasks").bulkWrite(round as never, { ordered: false });
      const task = tasks[random(tasks.length)]!;
      await db.collection("tasks").updateOne({ _id: task._id }, {
        $set: { status: ["processing", "completed"][random(2)], priority: random(3) },
      });
      await db.collection("users").updateOne({ _id: users[random(3)]!._id }, {
        $set: { fullname: `name ${random(3)}`, is_active: random(2) === 0 },
      });
      writes += round.length + 2;
    }
  };
  const running = work();
  running.catch(() => {});
  return {
    writes: () => writes,
    waitForFollowing: async (sql) => {
      await waitFor("the copy", async () => (await findFollow(sql))?.state === "following");
    },
    async [Symbol.asyncDispose]() {
      isStopped = true;
      await running;
      await client.close();
    },
  };
}
