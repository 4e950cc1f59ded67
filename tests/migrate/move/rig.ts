/** The guide in tests: its process with a person at its stdin, an old backend, and a database without tables. */
import { type Config, parseConfig } from "../../../config.ts";
import type { OldBackend } from "../../../dev/servers/old_backend.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { waitFor } from "../../support/wait.ts";
import { environment, fill, type Running, spawn, startOld } from "../cutover/rig.ts";
import { type Followed, startFollowed } from "../support/followed.ts";

const mainPath = new URL("../../../migrate/main.ts", import.meta.url).pathname;

/** A guide that runs. */
export interface RunningMove extends AsyncDisposable {
  /** Waits until it has printed a text, and forgets everything before it. */
  expect(pattern: RegExp, ms?: number): Promise<void>;
  /** Types a line. */
  type(line: string): Promise<void>;
  /** Closes its stdin. */
  close(): Promise<void>;
  ended: Promise<{ code: number; text: string }>;
}

export interface MoveRig extends AsyncDisposable {
  followed: Followed;
  database: TestDatabase;
  old: OldBackend;
  env: Record<string, string>;
  config: Config;
  /** Starts an API process in front of both systems. */
  startApi(): Promise<TestApi>;
  /** Starts another command of the migrator. */
  start(...args: string[]): Running;
  run(...args: string[]): Promise<{ code: number; out: string; err: string }>;
  move(args: string[], env?: Record<string, string>): RunningMove;
}

async function gather(stream: ReadableStream<Uint8Array>, onText: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) onText(decoder.decode(bytes, { stream: true }));
}

/** Starts the guide with a person at its stdin. */
function startMove(env: Record<string, string>, args: string[]): RunningMove {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", mainPath, "data", "move", ...args],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  let text = "";
  let at = 0;
  let isOver = false;
  const read = Promise.all(
    [child.stdout, child.stderr].map((stream) => gather(stream, (part) => text += part)),
  );
  const ended = child.status.then(async ({ code }) => {
    await read;
    isOver = true;
    return { code, text };
  });
  return {
    async expect(pattern, ms = 120_000) {
      await waitFor(`${pattern}`, () => {
        const found = pattern.exec(text.slice(at));
        if (found) at += found.index + found[0].length;
        else if (isOver) throw new Error(`it ended before ${pattern}:\n${text.slice(at)}`);
        return found !== null;
      }, ms).catch((error) => {
        throw new Error(`${error.message}; it printed:\n${text.slice(at)}`);
      });
    },
    type: (line) => input.write(new TextEncoder().encode(`${line}\n`)),
    close: () => input.close(),
    ended,
    async [Symbol.asyncDispose]() {
      if (!isOver) child.kill("SIGKILL");
      await ended;
      await input.close().catch(() => {});
    },
  };
}

/** Starts the old backend on a MongoDB with tasks. The database has no tables unless `migrated`. */
export async function startMoveRig(
  { tasks = 10, migrated = false }: { tasks?: number; migrated?: boolean } = {},
): Promise<MoveRig> {
  const stack = new AsyncDisposableStack();
  const followed = stack.use(await startFollowed());
  const database = stack.use(await createDatabase(migrated ? {} : { template: "template1" }));
  if (tasks > 0) await fill(followed, tasks);
  const old = stack.use(await startOld(followed));
  const env = environment({ database, followed, old });
  return {
    followed,
    database,
    old,
    env,
    config: parseConfig(env, "migrate"),
    startApi: async () =>
      stack.use(
        await startApi({
          database,
          env: { LEGACY_API_URL: old.origin, SHADOW_PERCENT: "100" },
        }),
      ),
    start: (...args) => stack.use(spawn(env, args)),
    async run(...args) {
      await using running = spawn(env, args);
      return await running.ended;
    },
    move: (args, changed = {}) => stack.use(startMove(Object.assign({}, env, changed), args)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
