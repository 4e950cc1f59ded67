/** Runs our own programs as their users do: `deno task NAME`, with the permissions deno.json gives them. */
import { AppError } from "../../errors.ts";

export type Env = Record<string, string>;

const project = new URL("../../", import.meta.url);

const taskArgs = (
  args: string[],
) => ["task", "--quiet", "--config", new URL("deno.json", project).pathname, ...args];

/**
 * Runs one to its end and lets it write to our terminal.
 *
 * @returns its exit code
 */
export async function runProgram(args: string[], env: Env): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), { args: taskArgs(args), env, stdin: "null" }).spawn();
  return (await child.status).code;
}

/** Runs one to its end. @returns what it wrote to stdout @throws AppError internal when it fails */
export async function readProgram(args: string[], env: Env): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: taskArgs(args),
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) {
    throw new AppError(
      "internal",
      `running 'deno task ${args.join(" ")}': it ended with ${code}: ${decoder.decode(stderr)}`,
    );
  }
  return decoder.decode(stdout);
}

export interface Program {
  pid: number;
  /** Ends it with SIGTERM. @returns its exit code */
  stop(): Promise<number>;
  /** Settles when it ends by itself. */
  ended: Promise<number>;
}

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
 * Starts one that stays, its output in a file, and waits until it says it is up.
 *
 * @param up what its output holds once it is ready
 * @throws AppError internal with the end of its log when it ends before that
 */
export async function startProgram(
  args: string[],
  env: Env,
  logPath: string,
  up: RegExp,
): Promise<Program & { said: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: taskArgs(args),
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let said = "";
  const ready = Promise.withResolvers<void>();
  const hear = (text: string) => {
    if (said.length < 100_000) said += text;
    if (up.test(said)) ready.resolve();
  };
  const piped = Promise.all([pipe(child.stdout, logPath, hear), pipe(child.stderr, logPath, hear)]);
  const ended = child.status.then(async ({ code }) => {
    await piped;
    return code;
  });
  const outcome = await Promise.race([ready.promise.then(() => undefined), ended]);
  if (outcome !== undefined) {
    throw new AppError(
      "internal",
      `starting 'deno task ${args.join(" ")}': it ended with ${outcome}:\n${said.slice(-2000)}`,
    );
  }
  return {
    pid: child.pid,
    said,
    ended,
    async stop() {
      try {
        child.kill("SIGTERM");
      } catch {
        // It ended already.
      }
      return await ended;
    },
  };
}
