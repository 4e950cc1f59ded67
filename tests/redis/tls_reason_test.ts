/** A server without TLS under rediss:// is named by every program at its start, and by the doctor. */
import assert from "node:assert/strict";
import { findFreePort } from "../../dev/servers/ports.ts";
import { noSettings, startProgram } from "../../dev/servers/programs.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";

const reason = /no answer to the request for TLS.*redis:\/\/ instead of rediss:\/\//;

Deno.test("API, worker and doctor say that a Redis has no TLS", async (t) => {
  await using database = await createDatabase();
  await using redis = await startRedis();
  const adminPort = findFreePort();
  const env = Object.assign({}, noSettings, {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url.replace("redis://", "rediss://u:hunter2@"),
    SECRET_KEY: "0123456789abcdef0123456789abcdef",
    IMAGE_API_URL: "http://127.0.0.1:1",
    NIETA_XTOKEN: "t",
    HOST: "127.0.0.1",
    PORT: "0",
    ADMIN_PORT: String(adminPort),
  });
  await t.step("the API logs the reason and shows it in /ready", async () => {
    const log = await Deno.makeTempFile();
    const program = await startProgram(["start"], env, log, /logins are refused/);
    try {
      const text = await Deno.readTextFile(log);
      assert.match(text.split("\n").find((line) => line.includes("logins are refused")) ?? "", reason);
      assert.doesNotMatch(text, /hunter2/);
      // The answer does not wait for a slow check: it shows the latest outcome.
      await waitFor("the reason in /ready", async () => {
        const ready = await fetch(`http://127.0.0.1:${adminPort}/ready`);
        return reason.test((await ready.json() as { redis: string }).redis);
      }, 10_000);
    } finally {
      await program.stop();
      await Deno.remove(log);
    }
  });
  for (const [args, exit] of [[["worker"], 68], [["worker:doctor"], 1]] as const) {
    await t.step(`'deno task ${args.join(" ")}' shows the reason`, async () => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", ...args],
        env,
        stdin: "null",
      }).output();
      const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert.match(text, reason);
      assert.match(text, /REDIS_URL/);
      assert.doesNotMatch(text, /hunter2/);
      assert.equal(code, exit, text);
    });
  }
});
