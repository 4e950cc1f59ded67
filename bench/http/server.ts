/**
 * A server of the HTTP bench. `ours PORT` starts the API. `bare PORT` starts a minimal handler with Hono and porsager
 * that runs the same statements without tokens, validation, log, metrics and CORS.
 */
import bcrypt from "bcryptjs";
import { type Context, Hono } from "hono";
import { parseConfig, readEnvironment } from "../../config.ts";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { findPassword, findUserByEmail } from "../../db/people/users.ts";
import { listTasks } from "../../db/v1/tasks.ts";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { openTaskMatrix } from "../../db/v1/matrix.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { type JsonObject, parseJson } from "../../json.ts";
import { createLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { runMain, whenAborted } from "../../process.ts";
import { createApp } from "../../routes/app.ts";
import { createThrottle } from "../../routes/common/throttle.ts";
import { email } from "./rows.ts";

const unlimited = { burst: 1e9, perSecond: 1e9 };

function createBare(sql: Pool) {
  const log = createLog("error");
  const json = { "content-type": "application/json" };
  const whole = (data: string) =>
    new Response(`{"code":200,"message":"success","data":${data}}`, { headers: json });
  const stream = (data: ReadableStream<Uint8Array> | undefined) =>
    new Response(data ?? null, { headers: json });
  const app = new Hono();
  const findUser = (c: Context) => findUserByEmail(sql, c.req.header("x-email") ?? email);
  app.get("/api/v1/users/me", async (c) => whole(JSON.stringify(await findUser(c))));
  app.get("/api/v1/tasks", async (c) => {
    await findUser(c);
    return whole(await listTasks(sql, { page: 1, pageSize: 10, taskName: c.req.query("task_name") ?? "" }));
  });
  app.get("/api/v1/tasks/:id", async (c) => stream(await openTaskDetail(sql, c.req.param("id"))));
  app.get("/api/v1/tasks/:id/matrix", async (c) => stream(await openTaskMatrix(sql, c.req.param("id"))));
  app.post("/api/v1/tasks", async (c) => {
    const user = (await findUserByEmail(sql, email))!;
    const body = parseJson(await c.req.text()) as JsonObject;
    const { id } = await submitTask({ sql, log }, {
      user,
      taskName: body.get("task_name") as string,
      tags: body.get("tags") as JsonObject[],
      variables: body.get("variables") as JsonObject,
      settings: body.get("settings") as JsonObject,
    });
    return whole(JSON.stringify({ id }));
  });
  app.post("/api/v1/auth/login", async (c) => {
    const form = new URLSearchParams(await c.req.text());
    const row = await findPassword(sql, form.get("username") ?? "");
    return whole(String(await bcrypt.compare(form.get("password") ?? "", row!.hashed_password)));
  });
  return app;
}

async function main(signal: AbortSignal): Promise<void> {
  const [kind, port] = Deno.args;
  const config = parseConfig(readEnvironment(), "api");
  const sql = connect(config.DATABASE_URL, { max: 4, name: `bench ${kind}` });
  const throttle = createThrottle({ address: unlimited, email: unlimited, overall: unlimited });
  const deps = { sql, config, log: createLog(config.LOG_LEVEL), metrics: createMetrics(), throttle };
  const app = kind === "bare" ? createBare(sql) : createApp(deps);
  const server = Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen() {} }, app.fetch);
  await whenAborted(signal);
  await server.shutdown();
  await sql.end({ timeout: 1 });
}

if (import.meta.main) await runMain(main);
