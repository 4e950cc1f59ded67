/** Starts the programs of this project as processes of their own, without `deno task` between, so that a signal reaches them. */
import { AppError } from "../../errors.ts";
import { type Env, noSettings } from "./programs.ts";

const root = new URL("../../", import.meta.url);

/** The entry of each program and its permissions in deno.json. */
const programs = {
  api: { entry: "main.ts", permissions: "api" },
  start: { entry: "start.ts", permissions: "start" },
  worker: { entry: "jobs/main.ts", permissions: "worker" },
  migrate: { entry: "migrate/main.ts", permissions: "migrate" },
} as const;

export type ProgramName = keyof typeof programs;

/** A running process. */
export interface Spawned extends AsyncDisposable {
  pid: number;
  /** Resolves with the exit code; of a killed process, with 128 and the number of the signal. */
  ended: Promise<number>;
  /** Everything that it has written to stdout and stderr. */
  output(): string;
  /** Sends a signal and waits. @returns the exit code */
  end(signal: Deno.Signal): Promise<number>;
}

async function collect(from: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of from) add(decoder.decode(bytes, { stream: true }));
}

/**
 * Starts a program with its permissions and without `.env`, and waits until it is ready.
 *
 * @param env settings; those that are absent have their defaults
 * @param readyPattern matches the output once the program is ready
 * @throws AppError internal with its output if it ends before it is ready
 */
export async function spawnProgram(
  name: ProgramName,
  env: Env,
  readyPattern = /"listening"|"worker"/,
  args: string[] = [],
): Promise<Spawned> {
  const { entry, permissions } = programs[name];
  const config = new URL("deno.json", root).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", `-P=${permissions}`, "--config", config, entry, ...args],
    cwd: root,
    env: { ...noSettings, NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const ready = Promise.withResolvers<void>();
  const add = (text: string) => {
    output += text;
    if (readyPattern.test(output)) ready.resolve();
  };
  const reading = Promise.all([collect(child.stdout, add), collect(child.stderr, add)]);
  const ended = child.status.then(async ({ code }) => {
    await reading;
    return code;
  });
  const outcome = await Promise.race([ready.promise, ended]);
  if (outcome !== undefined) {
    throw new AppError("internal", `starting ${entry}: exit code ${outcome}:\n${output.slice(-2000)}`);
  }
  const end = async (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has already ended.
    }
    return await ended;
  };
  return {
    pid: child.pid,
    ended,
    output: () => output,
    end,
    [Symbol.asyncDispose]: async () => void await end("SIGKILL"),
  };
}

/** Returns the address that the API prints when it listens. */
export const originOf = (api: Spawned): string => /"listening":"([^"]+)"/.exec(api.output())![1]!;
