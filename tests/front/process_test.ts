/** The front in a process of its own, with the permissions of `deno task start`. */
import assert from "node:assert/strict";
import { findFreePort } from "../../dev/servers/ports.ts";
import { noSettings, startProgram } from "../../dev/servers/programs.ts";
import { secret } from "../support/api.ts";
import { createDatabase } from "../support/database.ts";

Deno.test("an API process reaches the old backend with its own permissions", async () => {
  await using database = await createDatabase();
  const old = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => new Response(`old ${request.method} ${new URL(request.url).pathname}`),
  );
  const port = String(findFreePort());
  const log = await Deno.makeTempFile();
  const api = await startProgram(
    ["start"],
    Object.assign({}, noSettings, {
      DATABASE_URL: database.url,
      LEGACY_API_URL: `http://127.0.0.1:${old.addr.port}`,
      SECRET_KEY: secret,
      SHORT_SECRET_KEY: "allow",
      REDIS_URL: "redis://127.0.0.1:1",
      HOST: "127.0.0.1",
      PORT: port,
      ADMIN_PORT: "0",
    }),
    log,
    /"listening"/,
  );
  try {
    for (const method of ["GET", "POST"]) {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/tasks`, { method });
      assert.equal(await response.text(), `old ${method} /api/v1/tasks`);
    }
  } finally {
    await api.stop();
    await old.shutdown();
    await Deno.remove(log);
  }
});
