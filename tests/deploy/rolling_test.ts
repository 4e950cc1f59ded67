/** Two real API processes behind a real proxy are restarted in turn while clients read and write. */
import assert from "node:assert/strict";
import { findFreePort } from "../../dev/servers/ports.ts";
import { type Spawned, spawnProgram } from "../../dev/servers/spawn.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { createDatabase } from "../support/database.ts";
import { startProxy } from "./support/proxies.ts";
import { needs } from "./support/tools.ts";

const settings = {
  SECRET_KEY: "0123456789abcdef0123456789abcdef",
  HOST: "127.0.0.1",
  TRUSTED_PROXIES: "1",
  LOG_LEVEL: "error",
  // As docs/deploying.md says: longer than HAProxy's checks, and than nginx keeps an idle connection.
  DRAIN_MS: "3000",
};

/** Clients of each kind of request. Many POSTs, because a proxy never repeats one that was sent. */
const requests = [
  ["GET", "/health", 200, 3],
  ["GET", "/api/v1/tasks", 401, 1],
  ["POST", "/api/v1/tasks", 422, 20],
] as const;

/**
 * Wait of each client before its next request. With 24 clients, all stay below the proxies' limit for one address,
 * 2,000 requests in 10 s.
 */
const pauseMs = 140;

for (const kind of ["nginx", "haproxy"] as const) {
  Deno.test({
    name: `${kind}: no request fails while both API processes are restarted in turn`,
    ...needs(kind),
  }, async () => {
    await using database = await createDatabase();
    await using redis = await startRedis();
    const ports = [findFreePort(), findFreePort()] as const;
    const admin = [findFreePort(), findFreePort()] as [number, number];
    const start = (index: number): Promise<Spawned> =>
      spawnProgram("api", {
        ...settings,
        DATABASE_URL: database.url,
        REDIS_URL: redis.url,
        PORT: String(ports[index]),
        ADMIN_PORT: String(admin[index]),
      });
    const processes = [await start(0), await start(1)];
    await using proxy = await startProxy(kind, {
      blue: [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`],
      adminPorts: { blue: admin },
    });
    const failures: string[] = [];
    let count = 0;
    const traffic = new AbortController();
    const client = async (method: string, path: string, wanted: number) => {
      while (!traffic.signal.aborted) {
        const answer = await proxy.call(path, {
          method,
          ...(method === "POST" ? { body: "{", headers: { "content-type": "application/json" } } : {}),
        }).catch((error) => error as Error);
        count++;
        if (answer instanceof Error) failures.push(`${method} ${answer.message}`);
        else {
          await answer.body?.cancel();
          if (answer.status !== wanted) failures.push(`${method} ${path}: ${answer.status}`);
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    };
    const clients = requests.flatMap(([method, path, wanted, clients]) =>
      Array.from({ length: clients }, () => client(method, path, wanted))
    );
    for (const index of [0, 1, 0, 1]) {
      assert.equal(await processes[index]!.end("SIGTERM"), 0);
      processes[index] = await start(index);
      // The proxy finds the new process before the other one stops.
      await new Promise((resolve) => setTimeout(resolve, 2500));
    }
    traffic.abort();
    await Promise.all(clients);
    for (const one of processes) await one.end("SIGTERM");
    assert.deepEqual([...new Set(failures)], [], `${failures.length} of ${count}`);
    assert.ok(count > 300, `${count} requests`);
  });
}
