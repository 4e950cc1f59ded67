/** A clean copy of the project: what a clone holds, without `.env` and without generated files. */
import { root } from "./pages.ts";

/** A finished command. */
export interface Finished {
  code: number;
  out: string;
  err: string;
}

/** A program that runs in the background. */
export interface Background {
  /** Everything that it has printed so far, on both streams. */
  output(): string;
  /** Sends a signal and returns the exit code. */
  end(signal: Deno.Signal): Promise<number>;
}

/** A copy in a temporary folder. */
export interface CleanCopy extends AsyncDisposable {
  path: string;
  /** Runs a shell command in the folder, with none of the settings in its environment. */
  run(command: string, env?: Record<string, string>): Promise<Finished>;
  /** Starts a shell command in the folder. */
  start(command: string, env?: Record<string, string>): Background;
  /** Writes a file. */
  write(name: string, text: string): Promise<void>;
}

/** Returns a test of the names that `.gitignore` lists; it has only names and `*.EXTENSION`. */
async function readIgnored(): Promise<(name: string) => boolean> {
  const lines = (await Deno.readTextFile(new URL(".gitignore", root))).split("\n").filter((line) =>
    line !== ""
  );
  const names = new Set(lines.map((line) => line.replace(/\/$/, "")));
  const endings = lines.filter((line) => line.startsWith("*")).map((line) => line.slice(1));
  return (name) => name === ".git" || names.has(name) || endings.some((ending) => name.endsWith(ending));
}

async function copyFolder(from: string, to: string, isIgnored: (name: string) => boolean): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (isIgnored(name)) continue;
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`, isIgnored);
    else if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** The environment of a shell that knows Deno and no setting. */
function createEnvironment(): Record<string, string> {
  const kept = ["PATH", "HOME", "DENO_DIR"].flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  const folder = Deno.execPath().replace(/\/[^/]*$/, "");
  return { ...Object.fromEntries(kept), PATH: `${folder}:${Deno.env.get("PATH")}`, NO_COLOR: "1" };
}

function startShell(path: string, command: string, env: Record<string, string>): Background {
  const child = new Deno.Command("sh", {
    args: ["-c", `exec ${command}`],
    cwd: path,
    env: { ...createEnvironment(), ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) output += text;
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  return {
    output: () => output,
    async end(signal) {
      try {
        child.kill(signal);
      } catch {
        // It has already ended.
      }
      await reading;
      return (await child.status).code;
    },
  };
}

/** Copies the project. Programs that still run at the end are killed. */
export async function makeCleanCopy(): Promise<CleanCopy> {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-clone-" });
  await copyFolder(root.pathname.replace(/\/$/, ""), path, await readIgnored());
  await Deno.symlink(new URL("node_modules", root), `${path}/node_modules`);
  const started: Background[] = [];
  return {
    path,
    async run(command, env = {}) {
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", command],
        cwd: path,
        env: { ...createEnvironment(), ...env },
        clearEnv: true,
        stdin: "null",
      }).output();
      const decoder = new TextDecoder();
      return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
    },
    start(command, env = {}) {
      const program = startShell(path, command, env);
      started.push(program);
      return program;
    },
    write: (name, text) => Deno.writeTextFile(`${path}/${name}`, text),
    async [Symbol.asyncDispose]() {
      await Promise.all(started.map((program) => program.end("SIGKILL")));
      await Deno.remove(path, { recursive: true });
    },
  };
}
