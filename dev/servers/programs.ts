/** Runs the programs of this project as `deno task NAME`, with the permissions of deno.json and without `.env`. */
import { settings } from "../../settings.ts";
import { AppError } from "../../errors.ts";

/** Environment variables. */
export type Env = Record<string, string>;

/**
 * An empty value for every setting. It counts as unset and hides the value in `.env`, so that a program that is started
 * for a test or a measurement never reaches the servers of an operator.
 */
export const noSettings: Env = Object.fromEntries(Object.keys(settings).map((name) => [name, ""]));

/** Returns the settings in the environment of this process, without `.env`. */
const inheritedSettings = (): Env =>
  Object.fromEntries(Object.keys(settings).map((name) => [name, Deno.env.get(name) ?? ""]));

const project = new URL("../../", import.meta.url);

const taskArgs = (
  args: string[],
) => ["task", "--quiet", "--config", new URL("deno.json", project).pathname, ...args];

/**
 * Runs a program to its end. It writes to the terminal of this process.
 *
 * @returns its exit code
 */
export async function runProgram(args: string[], env: Env): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: taskArgs(args),
    env: { ...inheritedSettings(), ...env },
    stdin: "null",
  }).spawn();
  return (await child.status).code;
}

/** Runs a program to its end. @returns its standard output @throws AppError internal if it fails */
export async function readProgram(args: string[], env: Env): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: taskArgs(args),
    env: { ...inheritedSettings(), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) {
    throw new AppError(
      "internal",
      `running 'deno task ${args.join(" ")}': exit code ${code}: ${decoder.decode(stderr)}`,
    );
  }
  return decoder.decode(stdout);
}

/** A running program. */
export interface Program {
  pid: number;
  /** Sends SIGTERM and waits. @returns the exit code */
  stop(): Promise<number>;
  /** Resolves with the exit code when the program ends. */
  ended: Promise<number>;
}

/** Appends a stream to a file. */
async function pipe(
  from: ReadableStream<Uint8Array>,
  path: string,
  onText: (text: string) => void,
): Promise<void> {
  const file = await Deno.open(path, { create: true, append: true });
  const decoder = new TextDecoder();
  for await (const bytes of from) {
    onText(decoder.decode(bytes, { stream: true }));
    await file.write(bytes);
  }
  file.close();
}

/**
 * Starts a program in the background with its output in a file, and waits until it is ready.
 *
 * @param readyPattern matches the output once the program is ready; without it, the program is not waited for
 * @throws AppError internal with the end of its output if it ends before it is ready
 */
export async function startProgram(
  args: string[],
  env: Env,
  logPath: string,
  readyPattern?: RegExp,
): Promise<Program> {
  const child = new Deno.Command(Deno.execPath(), {
    args: taskArgs(args),
    env: { ...inheritedSettings(), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const ready = Promise.withResolvers<void>();
  const recordOutput = (text: string) => {
    if (output.length < 100_000) output += text;
    if (readyPattern?.test(output)) ready.resolve();
  };
  const piped = Promise.all([
    pipe(child.stdout, logPath, recordOutput),
    pipe(child.stderr, logPath, recordOutput),
  ]);
  const ended = child.status.then(async ({ code }) => {
    await piped;
    return code;
  });
  if (readyPattern === undefined) ready.resolve();
  const outcome = await Promise.race([ready.promise.then(() => undefined), ended]);
  if (outcome !== undefined) {
    throw new AppError(
      "internal",
      `starting 'deno task ${args.join(" ")}': exit code ${outcome}:\n${output.slice(-2000)}`,
    );
  }
  return {
    pid: child.pid,
    ended,
    async stop() {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has already ended.
      }
      return await ended;
    },
  };
}
