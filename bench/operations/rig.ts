/** A database and API processes for the parts of the bench. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { type LocalPostgres, startPostgres } from "../../dev/servers/postgres.ts";
import { originOf, type Spawned, spawnProgram } from "../../dev/servers/spawn.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import { email, fillRows, insertLarge } from "../http/rows.ts";

const secret = "a key of the bench that has 32 bytes";

/** Subtasks of each task of a large database. */
const subtasksOfTask = 10_000;

export interface Rig extends AsyncDisposable {
  folder: string;
  port: number;
  url: string;
  /** Returns the URL of a database of the server. */
  urlOf(name: string): string;
  sql: Pool;
  token: string;
  /** Several tokens, because the proxy limits the rate of each. */
  tokens: string[];
  /** Settings of an API process. */
  env: Record<string, string>;
  /** Starts PostgreSQL again after it was killed. */
  restart(): Promise<void>;
}

/** Starts PostgreSQL with rows. @param subtasks number of subtasks beside those of the HTTP bench; 0 fills nothing else */
export async function startRig(subtasks = 0): Promise<Rig> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  const port = findFreePort();
  let server: LocalPostgres = await startPostgres({ folder, keep: true, port });
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database bench`;
  await admin.end();
  const url = server.url("bench");
  const sql = connect(url, { max: 2, silentMsMax: 600_000 });
  await migrateUp(sql);
  await fillRows(sql, 200);
  for (let done = 0; done < subtasks; done += subtasksOfTask) {
    await insertLarge(sql, Math.min(subtasksOfTask, subtasks - done), crypto.randomUUID());
  }
  await sql`analyze`;
  const tokens = await Promise.all(
    Array.from({ length: 10 }, (_, index) => createTokens(secret, 600 + index).sign({ sub: "bench", email })),
  );
  return {
    folder,
    port,
    url,
    urlOf: (name) => server.url(name),
    sql,
    token: tokens[0]!,
    tokens,
    env: {
      DATABASE_URL: url,
      SECRET_KEY: secret,
      REDIS_URL: "redis://127.0.0.1:9",
      HOST: "127.0.0.1",
      PORT: "0",
      LOG_LEVEL: "error",
      RATE_LIMIT: "1000000",
    },
    async restart() {
      server = await startPostgres({ folder, keep: true, port });
    },
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 1 });
      await server.stop();
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}

/** An API with its private port. */
export interface Api {
  process: Spawned;
  origin: string;
  port: number;
  admin: number;
}

/** Starts the API as one or several processes. */
export async function startApi(env: Record<string, string>): Promise<Api> {
  const admin = Number(env.ADMIN_PORT ?? findFreePort());
  const name = env.API_PROCESSES === undefined ? "api" : "start";
  const process = await spawnProgram(name, { ...env, ADMIN_PORT: String(admin) });
  const origin = originOf(process);
  return { process, origin, port: Number(new URL(origin).port), admin };
}

/** Reports whether `/ready` is 200 within half a second. */
export async function isReady({ admin }: Pick<Api, "admin">): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${admin}/ready`, { signal: AbortSignal.timeout(500) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}
