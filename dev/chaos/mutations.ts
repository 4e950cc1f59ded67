/** The project once more in a folder of its own, as it is or with one guard taken out of its source. */
import { AppError } from "../../errors.ts";
import type { FaultKind } from "./faults.ts";

/** A text of a file, and what stands there instead. */
interface Patch {
  file: string;
  from: string;
  to: string;
}

export interface Mutation {
  about: string;
  patches: Patch[];
  /** Faults that show best that the guard is gone; the others are left out. */
  faults: FaultKind[];
}

export const mutations: Record<string, Mutation> = {
  lease_predicate: {
    about: "writes of an attempt do not ask whether its lease is still held",
    patches: [{
      file: "db/queue/subtasks.ts",
      from: "s.parent_task_id = i.task_id and s.id = i.id and s.lease_id = i.lease_id`",
      to: "s.parent_task_id = i.task_id and s.id = i.id and i.lease_id is not null`",
    }],
    faults: ["freeze", "postgres_mute", "backends_cut", "postgres_silent"],
  },
  state_predicate: {
    about: "a claim does not ask whether the cell is pending",
    patches: [{
      file: "db/queue/subtasks.ts",
      from: "where s.parent_task_id = w.task_id and s.id = w.id and coalesce(s.status, '') = 'pending'",
      to: "where s.parent_task_id = w.task_id and s.id = w.id",
    }],
    faults: ["duplicates", "kill", "groups_destroyed"],
  },
  saved_job: {
    about: "whoever takes a cell over does not look whether its job was saved",
    patches: [{
      file: "jobs/work/attempt.ts",
      from: "standing: { remoteId: subtask.remote_id,",
      to: "standing: { remoteId: null,",
    }],
    faults: ["kill", "terminate", "freeze"],
  },
  outbox_key: {
    about: "notices are not unique by task and kind",
    patches: [
      {
        file: "db/queue/subtasks.ts",
        from: "on conflict on constraint outbox_task_id_kind_key do nothing",
        to: "",
      },
      {
        file: "migrate/schema/0003_work.sql",
        from: "constraint outbox_task_id_kind_key unique (task_id, kind),",
        to: "",
      },
    ],
    faults: ["kill", "postgres_mute", "terminate"],
  },
  cursor_reset: {
    about: "a group that is made again begins behind what is in the stream",
    patches: [{
      file: "redis/stream.ts",
      from: `{ type: "CREATE", group, id: "0", options }`,
      to: `{ type: "CREATE", group, id: "$", options }`,
    }],
    faults: ["groups_destroyed"],
  },
  epoch: {
    about: "nobody notices that Redis was wiped",
    patches: [{ file: "jobs/lead/feed.ts", from: "if (!epoch) {", to: "if (!epoch && epoch) {" }],
    faults: ["flush", "flush_stray", "redis_restart"],
  },
};

const parts = [
  ...["config.ts", "errors.ts", "json.ts", "log.ts", "metrics.ts", "process.ts", "deps.ts"],
  ...["deno.json", "deno.lock", "db", "jobs", "migrate", "routes"],
];

async function copy(from: URL, to: URL): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await copy(new URL(`${from.href}/${name}`), new URL(`${to.href}/${name}`));
  }
}

async function applyPatch(root: URL, { file, from, to }: Patch): Promise<void> {
  const path = new URL(file, root);
  const text = await Deno.readTextFile(path);
  if (text.split(from).length !== 2) {
    throw new AppError("internal", `mutating '${file}': wanted exactly once: ${from}`);
  }
  await Deno.writeTextFile(path, text.replace(from, () => to));
}

/** A copy of what the worker needs, removed in the end; edits made to the project meanwhile do not reach it. */
export interface ProjectCopy extends AsyncDisposable {
  root: URL;
}

/**
 * Copies the project and takes a guard out of it.
 *
 * @throws AppError internal where a text to be replaced is not there exactly once
 */
export async function copyProject(from: URL, mutation?: Mutation): Promise<ProjectCopy> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-copy-" });
  const root = new URL(`file://${folder}/`);
  for (const part of parts) await copy(new URL(part, from), new URL(part, root));
  await Deno.symlink(new URL("node_modules", from), new URL("node_modules", root));
  for (const patch of mutation?.patches ?? []) await applyPatch(root, patch);
  return {
    root,
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}
