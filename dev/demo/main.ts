/** `deno task demo`: runs the whole product on this machine, from a MongoDB dump to a contact sheet. */
import bcrypt from "bcryptjs";
import { Command } from "commander";
import progress from "cli-progress";
import { connect } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { print, runMain, whenAborted } from "../../process.ts";
import { exitNoMongo, runLive } from "./live.ts";
import { createSteps, expect, type Step } from "./steps.ts";
import { renderContactSheet, type SheetCell } from "./contact_sheet.ts";
import { type Client, demoAxes, demoTask, signIn, type TaskDetailView, type TaskView } from "./client.ts";
import { drawCell } from "../servers/draw.ts";
import { startImageApi } from "../servers/image_api.ts";
import { parseOptions } from "../command_line.ts";
import { startPostgres } from "../servers/postgres.ts";
import { type Env, type Program, readProgram, runProgram, startProgram } from "../servers/programs.ts";
import { findFreePort } from "../servers/ports.ts";
import { startRedis } from "../servers/redis.ts";

interface Options {
  from: string;
  keep: boolean;
  check: boolean;
  folder: string;
  live: boolean;
}

const demoUser = { email: "demo@example.com", password: "contactsheet-demo" };
const sample = new URL("../sample", import.meta.url).pathname;
const taskMsMax = 120_000;
const asRoot = Deno.uid() === 0;

const isPortFree = (port: number): boolean => {
  try {
    Deno.listen({ hostname: "0.0.0.0", port }).close();
    return true;
  } catch {
    return false;
  }
};

/** Creates the schema, loads the dump and verifies it. */
async function migrateData(step: Step, from: string, env: Env): Promise<void> {
  await step(
    "schema: deno task migrate",
    async () => expect(await runProgram(["migrate"], env) === 0, "migrate failed"),
  );
  for (const verb of ["load", "verify"]) {
    await step(`data: deno task migrate data ${verb} --from ${from}`, async () => {
      const code = await runProgram(["migrate", "data", verb, "--from", from], env);
      if (code !== 0) {
        throw new AppError(
          "internal",
          `migrating '${from}': 'data ${verb}' exited with ${code}; see the output above`,
        );
      }
    });
  }
  const status = JSON.parse(await readProgram(["migrate", "status", "--json"], env));
  expect(typeof status === "object" && status !== null, "status --json did not print an object");
}

/** Inserts the demo user, since the passwords of the dump's users are unknown. */
async function insertDemoUser(databaseUrl: string): Promise<void> {
  const sql = connect(databaseUrl, { max: 1 });
  const hash = bcrypt.hashSync(demoUser.password, 10);
  await sql`
    insert into users (email, hashed_password, fullname, roles)
    values (${demoUser.email}, ${hash}, 'Demo', '{admin,user}')
    on conflict (email) do nothing`;
  await sql.end();
}

/** Submits the demo task and waits until it ends. */
async function drawTask(client: Client): Promise<TaskDetailView> {
  const { id, total_images } = await client.post<TaskView>("/tasks", demoTask);
  const bar = new progress.SingleBar({
    format: "  drawing {bar} {value}/{total} images, {duration_formatted}",
    noTTYOutput: true,
    notTTYSchedule: 1000,
    hideCursor: true,
  }, progress.Presets.shades_classic);
  bar.start(total_images, 0);
  try {
    for (const endsAt = Date.now() + taskMsMax; Date.now() < endsAt;) {
      const detail = await client.get<TaskDetailView>(`/tasks/${id}`);
      bar.update(detail.processed_images);
      if (["completed", "failed", "cancelled"].includes(detail.status)) return detail;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  } finally {
    bar.stop();
  }
  throw new AppError(
    "internal",
    `drawing task '${id}': not ended after ${taskMsMax / 1000} s; see the worker's log`,
  );
}

/** Fetches the images and writes `index.html` next to them. @returns the path of the page, and its cells */
async function writeSheet(
  task: TaskDetailView,
  folder: string,
): Promise<{ page: string; cells: SheetCell[] }> {
  await Deno.mkdir(`${folder}/images`, { recursive: true });
  const cells = await Promise.all(task.dramatiq_tasks.map(async (subtask): Promise<SheetCell> => {
    const row = subtask.variable_indices[0] ?? 0;
    const column = subtask.variable_indices[1] ?? 0;
    const { result, status, error } = subtask;
    if (!result) return { row, column, status: error ?? status, note: "" };
    const response = await fetch(result.url);
    const type = response.headers.get("content-type")?.match(/^image\/(\w+)/)?.[1];
    if (!response.ok || !type) {
      return { row, column, status: `image request: status ${response.status}`, note: "" };
    }
    const src = `images/${row}-${column}.${type}`;
    await Deno.writeFile(`${folder}/${src}`, await response.bytes());
    return { row, column, src, status, note: `seed ${result.seed} · ${result.width} × ${result.height}` };
  }));
  const page = `${folder}/index.html`;
  const subtitle = `${cells.filter(({ src }) => src).length} of ${cells.length} images · task ${task.id}`;
  await Deno.writeTextFile(
    page,
    renderContactSheet({ title: "contactsheet demo", subtitle, ...demoAxes, cells }),
  );
  return { page, cells };
}

/** Checks that the task has completed with 12 different images. */
async function checkEnd(task: TaskDetailView, cells: SheetCell[], folder: string): Promise<void> {
  expect(task.status === "completed", `the task ended as '${task.status}', expected 'completed'`);
  expect(task.processed_images === 12 && cells.length === 12, "expected 12 cells");
  const hashes = await Promise.all(cells.map(async ({ src, status }) => {
    expect(src !== undefined, `a cell has no image: ${status}`);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(`${folder}/${src}`)))
      .toHex();
  }));
  expect(new Set(hashes).size === 12, "expected 12 different images");
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const step = createSteps(signal);
  await using stack = new AsyncDisposableStack();
  const folder = options.keep ? options.folder : await Deno.makeTempDir({ prefix: "contactsheet-demo-" });
  await Deno.mkdir(folder, { recursive: true });
  if (options.check && !options.keep) stack.defer(() => Deno.remove(folder, { recursive: true }));
  // Under root, PostgreSQL runs with its env account, which must be able to enter the folder.
  await Deno.chmod(folder, 0o711);
  const env: Env = {};
  const postgres = await step(
    "PostgreSQL (embedded)",
    () => startPostgres({ folder: `${folder}/postgres`, keep: options.keep }),
  );
  stack.use(postgres);
  env.DATABASE_URL = postgres.url("postgres");
  if (!Deno.env.get("REDIS_URL")) {
    const redis = await step("Redis", () => startRedis({ onMessage: (line) => print(`  ${line}`) }));
    stack.use(redis);
    env.REDIS_URL = redis.url;
  }
  if (!Deno.env.get("IMAGE_API_URL")) {
    const images = await step(
      "image API (simulated; set IMAGE_API_URL and NIETA_XTOKEN to use a real one)",
      () => startImageApi({ draw: drawCell, delayMs: 300, token: "demo" }),
    );
    stack.defer(() => images.stop());
    Object.assign(env, { IMAGE_API_URL: images.url, LUMINA_API_URL: images.luminaUrl, NIETA_XTOKEN: "demo" });
    Object.assign(env, { IMAGE_POLLING_INTERVAL: "0.2", LUMINA_POLLING_INTERVAL: "0.2" });
  }
  await migrateData(step, options.from, env);
  await insertDemoUser(env.DATABASE_URL);

  env.PORT = Deno.env.get("PORT") || String(isPortFree(8000) ? 8000 : findFreePort());
  env.SECRET_KEY = Deno.env.get("SECRET_KEY") || crypto.randomUUID() + crypto.randomUUID();
  const start = async (args: string[], log: string, ready: RegExp): Promise<Program> => {
    const program = await startProgram(args, env, `${folder}/${log}.log`, ready);
    stack.defer(() => program.stop().then(() => {}));
    return program;
  };
  const api = await step("API: deno task start", () => start(["start"], "api", /"listening"/));
  const worker = await step(
    "worker: deno task worker",
    () => start(["worker"], "worker", /"worker (started|is up)/),
  );
  const address = `http://127.0.0.1:${env.PORT}`;
  const client = await signIn(address, demoUser.email, demoUser.password);
  const task = await step("task of 3 × 4 cells, submitted through the API", () => drawTask(client));
  const { page, cells } = await writeSheet(task, folder);

  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (options.check) {
    await checkEnd(task, cells, folder);
    for (const [name, program] of Object.entries({ worker, api })) {
      expect(await program.stop() === 0, `the ${name} did not exit with 0 on SIGTERM`);
    }
    const kept = options.keep ? `; the data is kept in ${folder}` : "";
    print(`\ndemo --check: every step succeeded in ${seconds} s; nothing keeps running${kept}`);
    return;
  }
  print(`\nready in ${seconds} s`);
  print(`  console    ${address}/console`);
  print(`  address    ${address}  (docs at ${address}/docs)`);
  print(`  sign-in    ${demoUser.email} / ${demoUser.password}`);
  print(`  images     ${page}`);
  print(`  logs       ${folder}/api.log, ${folder}/worker.log`);
  const kept = options.keep ? `The data is kept in ${folder}.` : "Use --keep to keep the data.";
  print(`\nPress Ctrl-C to stop. ${kept}`);
  await Promise.race([
    whenAborted(signal),
    api.ended.then((code) => expect(false, `the API exited with ${code}; see ${folder}/api.log`)),
    worker.ended.then((code) => expect(false, `the worker exited with ${code}; see ${folder}/worker.log`)),
  ]);
}

const command = new Command("deno task demo")
  .description(
    "Runs the whole product on this machine: migrates a MongoDB dump and draws a task of 3 × 4 cells.",
  )
  .option("--from <folder>", "folder written by mongoexport to migrate instead of the sample", sample)
  .option("--keep", "keep the data for the next run", false)
  .option(
    "--folder <folder>",
    "folder for the data with --keep",
    asRoot ? "/var/lib/contactsheet" : ".contactsheet",
  )
  .option("--check", "check every step, then exit with 0 or with an error code", false)
  .option(
    "--live",
    "move a running old backend under load instead: sync, canary, cut-over, rollback, cut-over again",
    false,
  )
  .addHelpText("after", `\nExit ${exitNoMongo} of --live: there is no mongod, and none can be downloaded.`);

if (import.meta.main) {
  await runMain(async (signal) => {
    const options = parseOptions<Options>(command, Deno.args);
    if (options?.live) return await runLive({ check: options.check }, signal);
    if (options) await run(options, signal);
  });
}
