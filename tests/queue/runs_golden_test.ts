/** All recorded runs again, from the create call to the images: the API's routes, a worker process, a played image API. */
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

const email = "tester1@example.com";
const token = "played";
const endedMs = 60_000;

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

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + endedMs;
  while (!await holds()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${endedMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Played {
  run: Run;
  /** Of the task. */
  id: string;
  detail: JsonObject;
  matrix: Json;
}

/** What a recorded detail says now: a task of failures alone reads `failed`, error texts are ours. */
function wantedDetail(run: Run): JsonObject {
  const data = at(run.detail![1], "data") as JsonObject;
  const subtasks = subtasksOf(run);
  const allFailed = subtasks.every((subtask) => subtask.get("status") === "failed");
  return withFields(data, {
    status: allFailed ? "failed" : data.get("status")!,
    results: null,
    dramatiq_tasks: subtasks.map((subtask) => withFields(subtask, { error: subtask.get("error") !== null })),
  });
}

function givenDetail(data: JsonObject): JsonObject {
  const subtasks = (data.get("dramatiq_tasks") ?? []) as JsonObject[];
  return withFields(data, {
    results: null,
    dramatiq_tasks: subtasks.map((subtask) => withFields(subtask, { error: subtask.get("error") !== null })),
  });
}

/** One key a subtask with an image, where the old backend wrote all of them under one. */
function compareResults(run: Run, given: Json): void {
  const wanted = at(run.detail![1], "data", "results")!;
  if (wanted === null) {
    assert.equal(given, null);
    return;
  }
  assertAlike(at(wanted, "matrix")!, at(given, "matrix"), "$.results.matrix");
  const [form] = (at(wanted, "raw") as JsonObject).values();
  const raw = [...(at(given, "raw") as JsonObject).values()] as JsonObject[];
  assert.equal(raw.length, subtasksOf(run).filter((subtask) => subtask.get("status") === "completed").length);
  for (const value of raw) assert.deepEqual([...value.keys()], [...(form as JsonObject).keys()]);
}

function assertAlike(wanted: Json, given: Json | undefined, place: string): void {
  const difference = findDifference(wanted, given, place);
  if (difference !== undefined) throw new Error(difference);
}

function compareRun({ run, detail, matrix }: Played, create: [number, Json]): void {
  assertAlike(run.create[1], create[1], "$create");
  assertAlike(wantedDetail(run), givenDetail(detail), "$detail");
  compareResults(run, detail.get("results") ?? null);
  assertAlike(run.matrix![1], matrix, "$matrix");
}

/** Seeds that we drew, by the subtasks whose recorded seed was drawn too. */
function drawnSeeds(played: Played[]): Set<string> {
  return new Set(played.flatMap(({ run, detail }) => {
    const given = detail.get("dramatiq_tasks") as JsonObject[];
    return subtasksOf(run).flatMap((subtask, i) =>
      subtask.get("seed") === "<seed>" ? [stringifyJson(given[i]!.get("seed")!)] : []
    );
  }));
}

function comparePosts(runs: Run[], played: Played[], api: FakeImageApi): void {
  const drawn = drawnSeeds(played);
  const given = api.posts.map(({ lumina, token, body }) => {
    const fields = parseJson(body) as JsonObject;
    const seed = fields.get("seed")!;
    const masked = drawn.has(stringifyJson(seed)) ? withFields(fields, { seed: "<seed>" }) : fields;
    return new Map<string, Json>([["lumina", lumina], ["token", token], ["body", masked]]);
  });
  assert.deepEqual(sorted(given), sorted(runs.flatMap(({ creates }) => creates)));
}

function compareHooks({ run, id }: Played, hooks: JsonObject[]): void {
  const told = hooks.filter((hook) => (at(hook, "content", "text") as string).includes(id));
  const kindOf = (hook: JsonObject) => (at(hook, "content", "text") as string).split("\n")[0]!;
  const byKind = (all: JsonObject[]) => all.toSorted((a, b) => kindOf(a) < kindOf(b) ? -1 : 1);
  assertAlike(byKind(run.hooks), byKind(told), "$hooks");
}

async function playAll(call: Call, runs: Run[]): Promise<[Run, [number, Json]][]> {
  const answers: [Run, [number, Json]][] = [];
  for (const run of runs) answers.push([run, await call("POST", "/tasks", run.body)]);
  return answers;
}

Deno.test("all recorded runs, played again, post, tell and answer what was recorded", async () => {
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
  const answers = await playAll(call, runs);

  const refused = answers.filter(([run]) => refusedNow.has(run.name));
  assert.deepEqual(refused.map(([, [status]]) => status), [422, 422]);
  const accepted = answers.filter(([run]) => !refusedNow.has(run.name));
  const [stored] = await database.sql<{ count: number }[]>`select count(*)::int as count from tasks`;
  assert.equal(stored!.count, accepted.length);
  await until("all tasks ended", async () => {
    const [open] = await database.sql<{ count: number }[]>`
      select count(*)::int as count from tasks where completed_at is null`;
    return open!.count === 0;
  });
  await until("all notices told", () => api.hooks.length >= 2 * accepted.length);

  const hooks = api.hooks.map((text) => parseJson(text) as JsonObject);
  const played: Played[] = [];
  const wrong: string[] = [];
  for (const [run, create] of accepted) {
    const id = at(create[1], "data", "id") as string;
    const [, detail] = await call("GET", `/tasks/${id}`);
    const [, matrix] = await call("GET", `/tasks/${id}/matrix`);
    const one = { run, id, detail: at(detail, "data") as JsonObject, matrix };
    played.push(one);
    try {
      compareRun(one, create);
      compareHooks(one, hooks);
    } catch (error) {
      wrong.push(`${run.name}: ${(error as Error).message}`);
    }
  }
  assert.deepEqual(wrong, []);
  comparePosts(runs, played, api);
  assert.equal(hooks.length, 2 * accepted.length);
});

Deno.test("the comparison with a recording sees what differs, and lets a mask stand for its form alone", () => {
  const uuid = "0b5e4c1e-8f1d-4d1a-9a0e-0f6f1f4f7a11";
  const cases: [wanted: string, given: string, alike: boolean][] = [
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
  for (const [wanted, given, alike] of cases) {
    assert.equal(
      findDifference(parseJson(wanted), parseJson(given)) === undefined,
      alike,
      `${wanted} ${given}`,
    );
  }
});
