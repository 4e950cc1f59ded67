/** Runs the tests against one PostgreSQL server with a migrated template database. */
import { connect } from "../db/pg/connect.ts";
import { startPostgres } from "../dev/servers/postgres.ts";
import { noSettings } from "../dev/servers/programs.ts";
import { findRedisBinary } from "../dev/servers/redis.ts";
import { AppError } from "../errors.ts";
import { silentProgress } from "../migrate/data/tools/progress.ts";
import { partition } from "../migrate/partition/partition.ts";
import { migrateUp } from "../migrate/schema/runner.ts";
import { print, printError, runMain } from "../process.ts";
import { ground, rooms as sourceRooms } from "./house/rooms.ts";
import { findSecret } from "./support/secrets.ts";

/** Sources whose documentation has examples that run as tests. */
const documented = [
  ...ground,
  ...new Set(Object.keys(sourceRooms).map((room) => room.split("/")[0]!)),
  "dev",
];

/** The test files to run. Without rooms and paths, the whole suite and the documentation tests run. */
export interface Selection {
  isHelp: boolean;
  /** Folders under tests/, run in parallel. */
  rooms: string[];
  /** Paths from the root, run one after another. */
  paths: string[];
  /** Flags of `deno test`. */
  flags: string[];
  /** The tables of subtasks are partitioned in all test databases. */
  isPartitioned: boolean;
}

/** Flags of `deno test` that take the next argument as their value. */
const valueFlags = ["--filter", "--reporter", "--junit-path"];

/**
 * Parses the command line. A room's name has precedence over a path, so that `migrate` selects tests/migrate.
 *
 * @throws AppError usage if a name is neither a room nor a path
 */
export function parseArguments(
  args: readonly string[],
  rooms: readonly string[],
  isPath: (path: string) => boolean,
): Selection {
  const selection: Selection = { isHelp: false, rooms: [], paths: [], flags: [], isPartitioned: false };
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!;
    if (arg === "--help" || arg === "-h") selection.isHelp = true;
    else if (arg === "--partitioned") selection.isPartitioned = true;
    else if (valueFlags.includes(arg)) selection.flags.push(arg, args[++index] ?? "");
    else if (arg.startsWith("-")) selection.flags.push(arg);
    else if (rooms.includes(arg)) selection.rooms.push(arg);
    else if (isPath(arg)) selection.paths.push(arg);
    else {
      throw new AppError("usage", `selecting tests '${arg}': no such room and no such path`, {
        fields: [{ field: "room", value: arg, wanted: rooms.join(", ") }],
      });
    }
  }
  return selection;
}

const usage = (rooms: string[]) =>
  `Usage: deno task test [ROOM or PATH]… [FLAG]…

Runs the tests against a PostgreSQL server of their own. Without a room and a path, it runs
the whole suite in parallel and the examples of the documentation.

Arguments:
  ROOM    a folder under tests/; its files run in parallel
  PATH    a test file or a folder; its files run one after another
  FLAG    a flag of 'deno test', such as --filter=TEXT or --fail-fast

Options:
  --partitioned    run on databases whose tables of subtasks are partitioned (docs/scaling.md)

Rooms: ${rooms.join(", ")}

Examples:
  deno task test migrate
  deno task test v2/stats queue
  deno task test tests/json_test.ts --filter=parseJson`;

/** Lists the folders under tests/ that contain test files, with their subfolders. */
export async function listRooms(folder = new URL("./", import.meta.url), prefix = ""): Promise<string[]> {
  const rooms: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory) continue;
    const subfolder = new URL(`${name}/`, folder);
    const inner = await listRooms(subfolder, `${prefix}${name}/`);
    const hasTests = [...Deno.readDirSync(subfolder)].some((entry) => entry.name.endsWith("_test.ts"));
    if (hasTests || inner.length > 0) rooms.push(`${prefix}${name}`, ...inner);
  }
  return rooms.sort();
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

interface Tally {
  /** What ran. */
  name: string;
  passed: number;
  failed: number;
  ignored: number;
  code: number;
  /** The kind of secret that the output has, if any. */
  secret: string | undefined;
}

/** Characters that are searched again with the next piece, since a secret may lie across both. */
const overlap = 4000;

/** Runs `deno test`, prints its output, searches it for secrets, and reads the totals of its last line. */
async function runTests(name: string, args: string[], env: Record<string, string>): Promise<Tally> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-prompt", ...args],
    env: { ...noSettings, NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let tail = "";
  let secret: string | undefined;
  for await (const bytes of child.stdout) {
    const text = decoder.decode(bytes, { stream: true });
    await Deno.stdout.write(bytes);
    tail += text;
    secret ??= findSecret(tail);
    tail = tail.slice(-overlap);
  }
  const { code } = await child.status;
  const [, passed = "0", failed = "0", ignored = "0"] = tail.match(
    /\| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/,
  ) ?? [];
  return { name, passed: Number(passed), failed: Number(failed), ignored: Number(ignored), code, secret };
}

/** Creates the template database that each test file clones. @param partitions of the tables of subtasks; 0: plain tables */
export async function createTemplate(
  url: (name: string) => string,
  partitions = 0,
): Promise<void> {
  const admin = connect(url("postgres"), { max: 1 });
  await admin`create database template_contactsheet`;
  await admin.end();
  const template = connect(url("template_contactsheet"), { max: 2 });
  await migrateUp(template);
  if (partitions > 0) {
    await partition(template, {
      partitions,
      offline: false,
      dryRun: false,
      progress: silentProgress,
    });
  }
  await template.end();
}

async function runSelection(
  { rooms, paths, flags }: Selection,
  env: Record<string, string>,
): Promise<Tally[]> {
  const parallel = { DENO_JOBS: "2", ...env };
  if (rooms.length === 0 && paths.length === 0) {
    return [
      await runTests("the examples of the documentation", ["--doc", ...documented], env),
      await runTests("the suite", ["--parallel", "tests/", ...flags], parallel),
    ];
  }
  const tallies: Tally[] = [];
  if (rooms.length > 0) {
    const folders = rooms.map((room) => `tests/${room}/`);
    tallies.push(await runTests(rooms.join(", "), ["--parallel", ...folders, ...flags], parallel));
  }
  if (paths.length > 0) tallies.push(await runTests(paths.join(", "), [...paths, ...flags], env));
  return tallies;
}

async function main(): Promise<number> {
  const rooms = await listRooms();
  const selection = parseArguments(Deno.args, rooms, exists);
  if (selection.isHelp) {
    print(usage(rooms));
    return 0;
  }
  await findRedisBinary(printError);
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-pg-" });
  await using server = await startPostgres({ folder, keep: false, durable: false });
  await createTemplate(server.url, selection.isPartitioned ? 4 : 0);
  const tallies = await runSelection(selection, { TEST_POSTGRES_URL: server.url("postgres") });
  const sum = (key: "passed" | "failed" | "ignored") =>
    tallies.reduce((total, tally) => total + tally[key], 0);
  // A run that fails without a failed test, such as a file that does not load, counts as one failure.
  const leaks = tallies.filter(({ secret }) => secret !== undefined);
  for (const { secret } of leaks) printError(`the output of the tests has ${secret}`);
  const broken = tallies.filter(({ code, failed }) => code !== 0 && failed === 0);
  for (const { name, code } of broken) {
    printError(`${name}: failed with exit code ${code} before its tests ended`);
  }
  const failed = sum("failed") + leaks.length + broken.length;
  const skipped = sum("ignored") > 0 ? `, ${sum("ignored")} skipped` : "";
  print(`\n${sum("passed")} passed, ${failed} failed${skipped}`);
  return failed > 0 || sum("passed") === 0 ? 1 : 0;
}

if (import.meta.main) await runMain(main);
