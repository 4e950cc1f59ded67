/** All recorded runs, repeated with the API's routes, a worker process and a fake image API. */
import assert from "node:assert/strict";
import { parseConfig } from "../../config.ts";
import { type FakeImageApi, startImageApi } from "../../dev/servers/image_api.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { type Json, type JsonObject, parseJson, stringifyJson } from "../../json.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { createApp } from "../../routes/app.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { at, readRuns, refusedNow, type Run, sorted, subtasksOf, withFields } from "./support/golden.ts";
import { findDifference } from "../support/masks.ts";
import { waitFor } from "../support/wait.ts";

const email = "tester1@example.com";
/** Token in the recorded POSTs. */
const token = "played";
const endedMsMax = 60_000;

type Call = (method: string, path: string, body?: Json) => Promise<[status: number, answer: Json]>;

async function openApi(database: TestDatabase, env: Record<string, string>): Promise<Call> {
  const config = parseConfig(env, "api");
  const app = createApp({ config, log: silentLog, metrics: createMetrics(), sql: database.sql });
  const [user] = await database.sql<{ id: string }[]>`
    insert into users (email, hashed_password) values (${email}, 'unused') returning id`;
  const bearer = await createTokens(config.SECRET_KEY, 60).sign({ sub: user!.id, email });
  return async (method, path, body) => {
    const answer = await app.fetch(
      new Request(`http://localhost/api/v1${path}`, {
        method,
        headers: { "authorization": `Bearer ${bearer}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: stringifyJson(body) }),
      }),
    );
    return [answer.status, parseJson(await answer.text())];
  };
}

function startWorker(env: Record<string, string>): AsyncDisposable {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", new URL("../../jobs/main.ts", import.meta.url).pathname],
    env: { ...env, LOG_LEVEL: "WARNING" },
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

/** A repeated run. */
interface Repeated {
  run: Run;
  /** Id of the task. */
  id: string;
  detail: JsonObject;
  matrix: Json;
}

/** Returns the expected detail: a task with only failures is `failed`, and error texts differ from the recording. */
function expectedDetail(run: Run): JsonObject {
  const data = at(run.detail![1], "data") as JsonObject;
  const subtasks = subtasksOf(run);
  const allFailed = subtasks.every((subtask) => subtask.get("status") === "failed");
  return withFields(data, {
    status: allFailed ? "failed" : data.get("status")!,
    results: null,
    dramatiq_tasks: subtasks.map((subtask) => withFields(subtask, { error: subtask.get("error") !== null })),
  });
}

function actualDetail(data: JsonObject): JsonObject {
  const subtasks = (data.get("dramatiq_tasks") ?? []) as JsonObject[];
  return withFields(data, {
    results: null,
    dramatiq_tasks: subtasks.map((subtask) => withFields(subtask, { error: subtask.get("error") !== null })),
  });
}

/** Compares `results`. It has one key per subtask with an image; the old backend used one key for all. */
function compareResults(run: Run, actual: Json): void {
  const expected = at(run.detail![1], "data", "results")!;
  if (expected === null) {
    assert.equal(actual, null);
    return;
  }
  assertMatches(at(expected, "matrix")!, at(actual, "matrix"), "$.results.matrix");
  const [form] = (at(expected, "raw") as JsonObject).values();
  const raw = [...(at(actual, "raw") as JsonObject).values()] as JsonObject[];
  assert.equal(raw.length, subtasksOf(run).filter((subtask) => subtask.get("status") === "completed").length);
  for (const value of raw) assert.deepEqual([...value.keys()], [...(form as JsonObject).keys()]);
}

function assertMatches(expected: Json, actual: Json | undefined, path: string): void {
  const difference = findDifference(expected, actual, path);
  if (difference !== undefined) throw new Error(difference);
}

function compareRun({ run, detail, matrix }: Repeated, create: [number, Json]): void {
  assertMatches(run.create[1], create[1], "$create");
  assertMatches(expectedDetail(run), actualDetail(detail), "$detail");
  compareResults(run, detail.get("results") ?? null);
  assertMatches(run.matrix![1], matrix, "$matrix");
}

/** Returns the random seeds of subtasks whose recorded seed was random too. */
function randomSeeds(repeated: Repeated[]): Set<string> {
  return new Set(repeated.flatMap(({ run, detail }) => {
    const actual = detail.get("dramatiq_tasks") as JsonObject[];
    return subtasksOf(run).flatMap((subtask, i) =>
      subtask.get("seed") === "<seed>" ? [stringifyJson(actual[i]!.get("seed")!)] : []
    );
  }));
}

function comparePosts(runs: Run[], repeated: Repeated[], api: FakeImageApi): void {
  const drawn = randomSeeds(repeated);
  const actual = api.posts.map(({ lumina, token, body }) => {
    const fields = parseJson(body) as JsonObject;
    const seed = fields.get("seed")!;
    const masked = drawn.has(stringifyJson(seed)) ? withFields(fields, { seed: "<seed>" }) : fields;
    return new Map<string, Json>([["lumina", lumina], ["token", token], ["body", masked]]);
  });
  assert.deepEqual(sorted(actual), sorted(runs.flatMap(({ creates }) => creates)));
}

function compareHooks({ run, id }: Repeated, hooks: JsonObject[]): void {
  const notices = hooks.filter((hook) => (at(hook, "content", "text") as string).includes(id));
  const kindOf = (hook: JsonObject) => (at(hook, "content", "text") as string).split("\n")[0]!;
  const byKind = (all: JsonObject[]) => all.toSorted((a, b) => kindOf(a) < kindOf(b) ? -1 : 1);
  assertMatches(byKind(run.hooks), byKind(notices), "$hooks");
}

async function createAll(call: Call, runs: Run[]): Promise<[Run, [number, Json]][]> {
  const answers: [Run, [number, Json]][] = [];
  for (const run of runs) answers.push([run, await call("POST", "/tasks", run.body)]);
  return answers;
}

Deno.test("repeated runs have the recorded POSTs, notices and answers", async () => {
  await using database = await createDatabase();
  await using redis = await startRedis();
  await using api = await startImageApi({ token });
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    SECRET_KEY: "a key for these tests, long enough for HS256",
    IMAGE_API_URL: api.url,
    LUMINA_API_URL: api.luminaUrl,
    NIETA_XTOKEN: token,
    NOTIFY_URLS: api.hookUrl,
    IMAGE_POLLING_INTERVAL: "0.02",
    LUMINA_POLLING_INTERVAL: "0.02",
    TASK_EXECUTOR_MIN_CONCURRENT: "50",
    ADMIN_PORT: "0",
  };
  const call = await openApi(database, env);
  await using _worker = startWorker(env);
  const runs = await readRuns();
  const answers = await createAll(call, runs);

  const refused = answers.filter(([run]) => refusedNow.has(run.name));
  assert.deepEqual(refused.map(([, [status]]) => status), [422, 422]);
  const accepted = answers.filter(([run]) => !refusedNow.has(run.name));
  const [stored] = await database.sql<{ count: number }[]>`select count(*)::int as count from tasks`;
  assert.equal(stored!.count, accepted.length);
  await waitFor("the end of all tasks", async () => {
    const [open] = await database.sql<{ count: number }[]>`
      select count(*)::int as count from tasks where completed_at is null`;
    return open!.count === 0;
  }, endedMsMax);
  await waitFor("all notices", () => api.hooks.length >= 2 * accepted.length, endedMsMax);

  const hooks = api.hooks.map((text) => parseJson(text) as JsonObject);
  const repeated: Repeated[] = [];
  const wrong: string[] = [];
  for (const [run, create] of accepted) {
    const id = at(create[1], "data", "id") as string;
    const [, detail] = await call("GET", `/tasks/${id}`);
    const [, matrix] = await call("GET", `/tasks/${id}/matrix`);
    const one = { run, id, detail: at(detail, "data") as JsonObject, matrix };
    repeated.push(one);
    try {
      compareRun(one, create);
      compareHooks(one, hooks);
    } catch (error) {
      wrong.push(`${run.name}: ${(error as Error).message}`);
    }
  }
  assert.deepEqual(wrong, []);
  comparePosts(runs, repeated, api);
  assert.equal(hooks.length, 2 * accepted.length);
});

Deno.test("findDifference() finds differences and accepts values of a mask's form only", () => {
  const uuid = "0b5e4c1e-8f1d-4d1a-9a0e-0f6f1f4f7a11";
  const cases: [expected: string, actual: string, isEqual: boolean][] = [
    ['{"a":1.0,"b":2}', '{"a":1.0,"b":2}', true],
    ['{"a":1.0}', '{"a":1}', false],
    ['{"a":1,"b":2}', '{"b":2,"a":1}', false],
    ['{"a":1}', '{"a":1,"b":2}', false],
    ["[1,2]", "[2,1]", false],
    ["null", "0", false],
    ['"<uuid>"', `"${uuid}"`, true],
    ['"<uuid>"', '"0b5e"', false],
    ['"<seed>"', "12", true],
    ['"<seed>"', '"12"', false],
    ['"a <uuid>\\nb"', `"a ${uuid}\\nb"`, true],
    ['"<b>"', '"<c>"', false],
    ['"<time>"', '"2026-01-02T03:04:05.678000"', true],
    ['"<time>"', '"2026-01-02T03:04:05Z"', false],
    ['"https://img.example.com/<uuid>.webp"', `"http://127.0.0.1:80/images/${uuid}.png"`, true],
    ['"https://img.example.com/<uuid>.webp"', '"http://127.0.0.1:80/images/.png"', false],
  ];
  for (const [expected, actual, isEqual] of cases) {
    assert.equal(
      findDifference(parseJson(expected), parseJson(actual)) === undefined,
      isEqual,
      `${expected} ${actual}`,
    );
  }
});
