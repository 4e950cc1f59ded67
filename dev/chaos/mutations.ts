/** Copies of the project in temporary folders, each unchanged or with one guard removed from its source. */
import { AppError } from "../../errors.ts";
import type { FaultKind } from "./faults.ts";

/** A replacement in one source file. */
export interface Patch {
  file: string;
  /** The text to replace; it must occur exactly once. */
  from: string | RegExp;
  to: string;
}

/** A guard of the product and the patches that remove it. */
export interface Mutation {
  /** Description of the mutated behaviour. */
  about: string;
  patches: Patch[];
  /** Faults that reveal the missing guard best; other faults are not injected. */
  faults: FaultKind[];
}

/** All mutations by the name of the removed guard. */
export const mutations: Record<string, Mutation> = {
  lease_predicate: {
    about: "writes of an attempt do not check its lease",
    patches: [{
      file: "db/queue/subtasks.ts",
      from: /\bs\.lease_id = i\.lease_id\b/,
      to: "i.lease_id is not null",
    }],
    faults: ["freeze", "postgres_mute", "backends_cut", "postgres_silent"],
  },
  state_predicate: {
    about: "a claim does not check that the cell is pending",
    patches: [{
      file: "db/queue/subtasks.ts",
      from: /\band coalesce\(s\.status, ''\) = 'pending'/,
      to: "and true",
    }],
    faults: ["duplicates", "kill", "groups_destroyed"],
  },
  saved_job: {
    about: "a worker that claims a cell again ignores its saved remote job",
    patches: [{
      file: "jobs/work/attempt.ts",
      from: /(?<=\w: )\w+\.remote_id(?=,)/,
      to: "null",
    }],
    faults: ["kill", "terminate", "freeze"],
  },
  outbox_key: {
    about: "notices are not unique by task and kind",
    patches: [
      {
        file: "db/queue/subtasks.ts",
        from: /on conflict on constraint outbox_task_id_kind_key\s+do nothing/,
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
    about: "a recreated consumer group starts after the entries that are already in the stream",
    patches: [{ file: "redis/stream.ts", from: /\bid: "0"/, to: 'id: "$"' }],
    faults: ["groups_destroyed"],
  },
  epoch: {
    about: "the leader does not notice that Redis was wiped",
    patches: [{ file: "jobs/lead/feed.ts", from: /if \(![\w.#]*[eE]poch\w*\)/, to: "if (false)" }],
    faults: ["flush", "flush_stray", "redis_restart"],
  },
  leave_read_only: {
    about: "connections to a PostgreSQL that became read-only are kept",
    patches: [{ file: "db/pg/read_only.ts", from: "if (messages.showsReadOnly(chunk))", to: "if (false)" }],
    faults: ["postgres_failover"],
  },
  leave_replica: {
    about: "connections to a Redis that became a replica are kept",
    patches: [{ file: "redis/tcp.ts", from: /!hasError\(answer, isDemoted\)/, to: "true" }],
    faults: ["redis_failover"],
  },
};

/** Folders and files that the programs need, besides the TypeScript files at the root. */
const copiedPaths = [
  "deno.json",
  "deno.lock",
  "comparison",
  "db",
  "dev",
  "jobs",
  "migrate",
  "processes",
  "redis",
  "routes",
  "statistics",
];

async function copyPath(from: URL, to: URL): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await copyPath(new URL(`${from.href}/${name}`), new URL(`${to.href}/${name}`));
  }
}

async function listCopiedPaths(root: URL): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(root));
  return [...copiedPaths, ...entries.map(({ name }) => name).filter((name) => name.endsWith(".ts"))];
}

const countMatches = (text: string, pattern: string | RegExp): number =>
  typeof pattern === "string"
    ? text.split(pattern).length - 1
    : [...text.matchAll(new RegExp(pattern, "g"))].length;

async function applyPatch(root: URL, { file, from, to }: Patch): Promise<void> {
  const path = new URL(file, root);
  const text = await Deno.readTextFile(path);
  const count = countMatches(text, from);
  if (count !== 1) {
    throw new AppError("internal", `mutating '${file}': ${count} matches, wanted exactly one: ${from}`);
  }
  await Deno.writeTextFile(path, text.replace(from, () => to));
}

/** A copy of what a worker needs. Later edits of the project do not reach it; its folder is removed on disposal. */
export interface ProjectCopy extends AsyncDisposable {
  root: URL;
}

/**
 * Copies the project and applies a mutation to the copy.
 *
 * @throws AppError internal if a text to replace does not occur exactly once
 */
export async function copyProject(from: URL, mutation?: Mutation): Promise<ProjectCopy> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-copy-" });
  const root = new URL(`file://${folder}/`);
  for (const path of await listCopiedPaths(from)) await copyPath(new URL(path, from), new URL(path, root));
  await Deno.symlink(new URL("node_modules", from), new URL("node_modules", root));
  for (const patch of mutation?.patches ?? []) await applyPatch(root, patch);
  return {
    root,
    async [Symbol.asyncDispose]() {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}
