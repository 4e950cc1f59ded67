import { collections } from "../../../migrate/data/documents/source.ts";

const mainPath = new URL("../../../migrate/main.ts", import.meta.url).pathname;

export interface CliResult {
  code: number;
  out: string;
  err: string;
}

const failpointPath = new URL("./failpoint.ts", import.meta.url).pathname;

/** Starts a migrator that kills itself (SIGKILL) at a failpoint: `name`, or `name:3` for its third pass. */
export function spawnMigrateTo(point: string, url: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", "--preload", failpointPath, mainPath, ...args],
    env: { DATABASE_URL: url, FAILPOINT: point },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Starts the migrator. */
export function spawnMigrate(url: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", mainPath, ...args],
    env: { DATABASE_URL: url },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs the migrator and returns its output. */
export async function runMigrate(url: string, ...args: string[]): Promise<CliResult> {
  const { code, stdout, stderr } = await spawnMigrate(url, ...args).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Path of the sample, which has documents of every generation. */
export const generations = new URL("../../../dev/sample", import.meta.url).pathname;

/** Reads a gzipped file of tests/data. */
export async function readPacked(path: string): Promise<Uint8Array> {
  const file = await Deno.open(new URL(`../../data/${path}`, import.meta.url));
  return await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).bytes();
}

export interface Folder extends AsyncDisposable {
  path: string;
}

/** Creates a temporary folder with one file a collection. A missing collection is empty; null omits its file. */
export async function makeDump(
  files: Partial<Record<(typeof collections)[number], string | Uint8Array | null>>,
): Promise<Folder> {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  for (const name of collections) {
    const content = files[name] === undefined ? "" : files[name];
    if (typeof content === "string") await Deno.writeTextFile(`${path}/${name}.json`, content);
    else if (content !== null) await Deno.writeFile(`${path}/${name}.json`, content);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Creates a temporary folder with the edge cases of tests/data, in relaxed or canonical form. */
export async function makeEdgeCaseDump(form: "odd" | "odd-canonical"): Promise<Folder> {
  const files = await Promise.all(
    collections.map(async (name) => [name, await readPacked(`${form}/${name}.json.gz`)] as const),
  );
  return await makeDump(Object.fromEntries(files));
}
