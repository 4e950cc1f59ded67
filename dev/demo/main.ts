/** `deno task demo`: the whole product on this machine, from a MongoDB dump to a drawn grid. */
import bcrypt from "bcryptjs";
import { Command } from "commander";
import progress from "cli-progress";
import { connect } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { print, runMain, whenAborted } from "../../process.ts";
import { renderContactSheet, type SheetCell } from "./contact_sheet.ts";
import { type Client, demoAxes, demoTask, signIn, type TaskDetailView, type TaskView } from "./client.ts";
import { drawCell } from "../servers/draw.ts";
import { startImageApi } from "../servers/image_api.ts";
import { startPostgres } from "../servers/postgres.ts";
import { type Env, type Program, readProgram, runProgram, startProgram } from "../servers/programs.ts";
import { findFreePort } from "../servers/ports.ts";
import { startRedis } from "../servers/redis.ts";

interface Options {
  from: string;
  keep: boolean;
  check: boolean;
  folder: string;
}

const person = { email: "demo@example.com", password: "contactsheet-demo" };
const sample = new URL("../sample", import.meta.url).pathname;
const taskMsMax = 120_000;
const asRoot = Deno.uid() === 0;

type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Steps that print their name and how long they took; none begins once the signal is aborted. */
function createSteps(signal: AbortSignal): Step {
  return async (name, work) => {
    if (signal.aborted) {
      throw new AppError("interrupted", "demo: interrupted; everything it started is stopped");
    }
    print(`▸ ${name}`);
    const start = performance.now();
    const result = await work();
    print(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return result;
  };
}

function expect(good: boolean, what: string): void {
  if (!good) throw new AppError("internal", `checking the demo: ${what}`);
}

const portFree = (port: number): boolean => {
  try {
    Deno.listen({ hostname: "0.0.0.0", port }).close();
    return true;
  } catch {
    return false;
  }
};

async function bringData(step: Step, from: string, env: Env): Promise<void> {
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
          `bringing '${from}' over: 'data ${verb}' ended with ${code}, see above`,
        );
      }
    });
  }
  const status = JSON.parse(await readProgram(["migrate", "status", "--json"], env));
  expect(typeof status === "object" && status !== null, "status --json gave no object");
}

/** A person to sign in as: a dump's own passwords are not ours to know. */
async function addPerson(databaseUrl: string): Promise<void> {
  const sql = connect(databaseUrl, { max: 1 });
  const hash = bcrypt.hashSync(person.password, 10);
  await sql`
    insert into users (email, hashed_password, fullname, roles)
    values (${person.email}, ${hash}, 'Demo', '{admin,user}')
    on conflict (email) do nothing`;
  await sql.end();
}

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
    for (const until = Date.now() + taskMsMax; Date.now() < until;) {
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
    `drawing task '${id}': not finished after ${taskMsMax / 1000} s; see the worker's log`,
  );
}

/** Fetches the images and writes `index.html` beside them. @returns path of the page and the cells with an image */
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
    if (!response.ok || !type) return { row, column, status: `image answered ${response.status}`, note: "" };
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

async function checkEnd(task: TaskDetailView, cells: SheetCell[], folder: string): Promise<void> {
  expect(task.status === "completed", `the task ended as '${task.status}', wanted 'completed'`);
  expect(task.processed_images === 12 && cells.length === 12, "wanted 12 cells");
  const hashes = await Promise.all(cells.map(async ({ src, status }) => {
    expect(src !== undefined, `a cell has no image: ${status}`);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(`${folder}/${src}`)))
      .toHex();
  }));
  expect(new Set(hashes).size === 12, "wanted 12 different images");
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  const step = createSteps(signal);
  await using stack = new AsyncDisposableStack();
  const folder = options.keep ? options.folder : await Deno.makeTempDir({ prefix: "contactsheet-demo-" });
  await Deno.mkdir(folder, { recursive: true });
  if (options.check && !options.keep) stack.defer(() => Deno.remove(folder, { recursive: true }));
  // As root the server runs under an account of its own, which must be able to pass through.
  await Deno.chmod(folder, 0o711);
  const own: Env = {};
  const postgres = await step(
    "PostgreSQL (embedded)",
    () => startPostgres({ folder: `${folder}/postgres`, keep: options.keep }),
  );
  stack.use(postgres);
  own.DATABASE_URL = postgres.url("postgres");
  if (Deno.env.get("REDIS_URL") === undefined) {
    const redis = await step("Redis", () => startRedis({ say: (line) => print(`  ${line}`) }));
    stack.use(redis);
    own.REDIS_URL = redis.url;
  }
  if (Deno.env.get("IMAGE_API_URL") === undefined) {
    const images = await step(
      "image API (played; IMAGE_API_URL and NIETA_XTOKEN point to a real one)",
      () => startImageApi({ draw: drawCell, delayMs: 300, token: "demo" }),
    );
    stack.defer(() => images.stop());
    Object.assign(own, { IMAGE_API_URL: images.url, LUMINA_API_URL: images.luminaUrl, NIETA_XTOKEN: "demo" });
    Object.assign(own, { IMAGE_POLLING_INTERVAL: "0.2", LUMINA_POLLING_INTERVAL: "0.2" });
  }
  await bringData(step, options.from, own);
  await addPerson(own.DATABASE_URL);

  own.PORT = Deno.env.get("PORT") ?? String(portFree(8000) ? 8000 : findFreePort());
  own.SECRET_KEY = Deno.env.get("SECRET_KEY") ?? crypto.randomUUID() + crypto.randomUUID();
  const start = async (args: string[], log: string, up: RegExp): Promise<Program> => {
    const program = await startProgram(args, own, `${folder}/${log}.log`, up);
    stack.defer(() => program.stop().then(() => {}));
    return program;
  };
  const api = await step("API: deno task start", () => start(["start"], "api", /"listening"/));
  const worker = await step(
    "worker: deno task worker",
    () => start(["worker"], "worker", /"worker (started|is up)/),
  );
  const address = `http://127.0.0.1:${own.PORT}`;
  const client = await signIn(address, person.email, person.password);
  const task = await step("a task of 3 × 4 cells over the API", () => drawTask(client));
  const { page, cells } = await writeSheet(task, folder);

  print(`\nready in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  print(`  address    ${address}  (docs at ${address}/docs)`);
  print(`  sign-in    ${person.email} / ${person.password}`);
  print(`  images     ${page}`);
  print(`  logs       ${folder}/api.log, ${folder}/worker.log`);
  if (options.check) {
    await checkEnd(task, cells, folder);
    for (const [name, program] of Object.entries({ worker, api })) {
      expect(await program.stop() === 0, `the ${name} did not end with 0 on SIGTERM`);
    }
    print("\ndemo --check: every step holds");
    return;
  }
  print("\nCtrl-C ends it" + (options.keep ? "; the data stays" : "; --keep would keep the data"));
  await Promise.race([
    whenAborted(signal),
    api.ended.then((code) => expect(false, `the API ended with ${code}; see ${folder}/api.log`)),
    worker.ended.then((code) => expect(false, `the worker ended with ${code}; see ${folder}/worker.log`)),
  ]);
}

const command = new Command("deno task demo")
  .description(
    "Starts the whole product on this machine, brings a MongoDB dump over and draws a task of 3 × 4 cells.",
  )
  .option("--from <folder>", "a mongoexport folder to bring over instead of the sample", sample)
  .option("--keep", "keep the data between runs", false)
  .option("--folder <folder>", "where --keep keeps it", asRoot ? "/var/lib/contactsheet" : ".contactsheet")
  .option("--check", "check every step, do not wait for a person, exit 0 or not", false);

if (import.meta.main) {
  command.parse(Deno.args, { from: "user" });
  await runMain((signal) => run(command.opts<Options>(), signal));
}
