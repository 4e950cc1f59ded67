/** `deno task test [files] [deno test flags]`: one PostgreSQL with a migrated template for all test files. */
import { connect } from "../db/pg/connect.ts";
import { startPostgres } from "../dev/servers/postgres.ts";
import { findRedisBinary } from "../dev/servers/redis.ts";
import { migrateUp } from "../migrate/schema/runner.ts";
import { print, printError, runMain } from "../process.ts";

const rooms = [
  "config.ts",
  "errors.ts",
  "json.ts",
  "log.ts",
  "metrics.ts",
  "batch.ts",
  "bell.ts",
  "http.ts",
  "ops.ts",
  "process.ts",
  "db",
  "redis",
  "jobs",
  "migrate",
  "routes",
  "statistics",
  "dev",
];

interface Tally {
  passed: number;
  failed: number;
  ignored: number;
  code: number;
}

/** Runs `deno test` with our terminal as its own and reads the last line it closes with. */
async function runTests(args: string[], env: Record<string, string>): Promise<Tally> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-prompt", ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let tail = "";
  for await (const bytes of child.stdout) {
    const text = decoder.decode(bytes, { stream: true });
    await Deno.stdout.write(bytes);
    tail = (tail + text).slice(-4000);
  }
  const { code } = await child.status;
  const [, passed = "0", failed = "0", ignored = "0"] = tail.match(
    /\| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed(?: \(\d+ steps?\))?(?: \| (\d+) ignored)?/,
  ) ?? [];
  return { passed: Number(passed), failed: Number(failed), ignored: Number(ignored), code };
}

async function makeTemplate(url: (name: string) => string): Promise<void> {
  const admin = connect(url("postgres"), { max: 1 });
  await admin`create database template_contactsheet`;
  await admin.end();
  const template = connect(url("template_contactsheet"), { max: 1 });
  await migrateUp(template);
  await template.end();
}

async function main(): Promise<number> {
  await findRedisBinary(printError);
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-pg-" });
  await using server = await startPostgres({ folder, keep: false, durable: false });
  await makeTemplate(server.url);
  const env = { TEST_POSTGRES_URL: server.url("postgres") };
  const chosen = Deno.args.some((arg) => !arg.startsWith("-"));
  const runs = chosen ? [await runTests(Deno.args, env)] : [
    await runTests(["--doc", ...rooms], env),
    await runTests(["--parallel", "tests/", ...Deno.args], {
      DENO_JOBS: "2",
      ...env,
    }),
  ];
  const sum = (key: keyof Tally) => runs.reduce((all, run) => all + run[key], 0);
  // A run that ended badly without saying what failed (a file that does not load) still counts.
  const failed = sum("failed") + runs.filter((run) => run.code !== 0 && run.failed === 0).length;
  const skipped = sum("ignored") > 0 ? `, ${sum("ignored")} skipped` : "";
  print(`\n${sum("passed")} passed, ${failed} failed${skipped}`);
  return failed > 0 || sum("passed") === 0 ? 1 : 0;
}

if (import.meta.main) await runMain(main);
