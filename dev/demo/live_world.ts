/** Servers and programs of the live demo: both databases, a played old backend, and the programs of this project. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { type Db, MongoClient } from "mongodb";
import { print } from "../../process.ts";
import { createTokens, type Tokens } from "../../routes/common/tokens.ts";
import { type LocalMongo, startMongo } from "../servers/mongo.ts";
import { type OldBackend, startOldBackend } from "../servers/old_backend.ts";
import { makeTask } from "../servers/old_backend/task_writes.ts";
import { makeUser } from "../servers/old_backend/users.ts";
import { startImageApi } from "../servers/image_api.ts";
import { findFreePort } from "../servers/ports.ts";
import { startPostgres } from "../servers/postgres.ts";
import { type Env, type Program, startProgram } from "../servers/programs.ts";
import { startRedis } from "../servers/redis.ts";
import { parseJson } from "../../json.ts";
import { taskBody } from "../load/client.ts";
import type { Step } from "./steps.ts";

const database = "contactsheet_old";
const owner = "owner@example.com";
const oldTasks = 300;

export interface LiveWorld {
  folder: string;
  env: Env;
  sql: Pool;
  mongo: LocalMongo;
  db: Db;
  old: OldBackend;
  tokens: Tokens;
  /** Starts a program whose output goes to a file in the folder. */
  start(args: string[], log: string, options?: { env?: Env; ready?: RegExp }): Promise<Program>;
}

/** Fills MongoDB as years of work with the old backend would have. */
async function fill(old: OldBackend): Promise<void> {
  await old.store.users.insertOne(makeUser(owner, "long-enough"));
  for (let i = 0; i < oldTasks; i++) {
    const { task, subtasks } = makeTask(owner, parseJson(JSON.stringify(taskBody(`old task ${i}`))));
    await old.store.tasks.insertOne(task);
    await old.store.subtasks.insertMany(subtasks);
  }
}

/** Starts the servers and the old backend. Everything ends with the stack. */
export async function openLiveWorld(
  { step, stack, binary }: { step: Step; stack: AsyncDisposableStack; binary: string },
): Promise<LiveWorld> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-live-" });
  // Under root, PostgreSQL runs with its own account, which must be able to enter the folder.
  await Deno.chmod(folder, 0o711);
  const secret = crypto.randomUUID() + crypto.randomUUID();
  const { mongo, old, db } = await step(
    `old system: mongod and a played old backend with ${oldTasks} tasks`,
    async () => {
      const mongo = stack.use(await startMongo(binary, { replicaSet: true }));
      const executor = { slots: 4, attemptMs: 150, failShare: 0.02 };
      const old = stack.use(await startOldBackend({ mongoUrl: mongo.url, database, secret, executor }));
      await fill(old);
      const client = stack.adopt(new MongoClient(mongo.url), (client) => client.close());
      return { mongo, old, db: client.db(database) };
    },
  );
  const env = await step("new system: PostgreSQL, Redis, image API (simulated)", async () => {
    const postgres = stack.use(await startPostgres({ folder: `${folder}/postgres`, keep: false }));
    const redis = stack.use(await startRedis({ onMessage: (line) => print(`  ${line}`) }));
    const images = await startImageApi({ delayMs: 150, token: "demo" });
    stack.defer(() => images.stop());
    return {
      DATABASE_URL: postgres.url("postgres"),
      REDIS_URL: redis.url,
      IMAGE_API_URL: images.url,
      LUMINA_API_URL: images.luminaUrl,
      NIETA_XTOKEN: "demo",
      IMAGE_POLLING_INTERVAL: "0.2",
      LUMINA_POLLING_INTERVAL: "0.2",
      MONGODB_URL: mongo.url,
      DB_NAME: database,
      LEGACY_API_URL: old.origin,
      SECRET_KEY: secret,
      SHADOW_PERCENT: "50",
      ADMIN_PORT: "0",
    } satisfies Env;
  });
  const sql = stack.adopt(connect(env.DATABASE_URL, { max: 2 }), (pool) => pool.end({ timeout: 1 }));
  return {
    folder,
    env,
    sql,
    mongo,
    db,
    old,
    tokens: createTokens(secret, 10_080),
    async start(args, log, { env: more = {}, ready } = {}) {
      const program = await startProgram(args, Object.assign({}, env, more), `${folder}/${log}.log`, ready);
      stack.defer(() => program.stop().then(() => {}));
      return program;
    },
  };
}

/** Starts an API process in front of both systems. @returns its origin */
export async function startFront({ start }: LiveWorld, number: number): Promise<string> {
  const port = String(findFreePort());
  await start(["start"], `api-${number}`, { env: { PORT: port, HOST: "127.0.0.1" }, ready: /"listening"/ });
  return `http://127.0.0.1:${port}`;
}
