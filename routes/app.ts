/** The API's app: logs and counts every request, and hands it to the room it is for. */
import { Hono } from "hono";
import type { Config } from "../config.ts";
import type { Pool } from "../db/pg/connect.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { clientAddress } from "./common/address.ts";
import { createPasswords, type Passwords } from "./common/passwords.ts";
import { createThrottle, type LoginThrottle } from "./common/throttle.ts";
import { createTokens, type Tokens } from "./common/tokens.ts";
import { bodyMsStandard } from "./v1/body.ts";
import { createGate, type Gate } from "./common/gate.ts";
import { routeV1 } from "./v1/router.ts";
import { createAccessTokens } from "./v2/kit/access.ts";
import { createV2 } from "./v2/app.ts";

export interface AppDeps {
  sql: Pool;
  log: Log;
  metrics: Metrics;
  config: Config;
  /** Our own unless given. */
  tokens?: Tokens;
  passwords?: Passwords;
  throttle?: LoginThrottle;
  gate?: Gate;
  /** Told of in v2's status. */
  redis?: { check(): Promise<unknown> };
  /** Milliseconds that a body may take to come. */
  bodyMsMax?: number;
  /** Aborted when the process is going: what streams ends then. */
  draining?: AbortSignal;
}

/** What Deno.serve tells of a request beside it. */
type Env = { Bindings: { remoteAddr?: Deno.Addr } };
export type App = Hono<Env>;

/** What a client may name a method; others are counted as one. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

const v2Url = /^https?:\/\/[^/]*\/api\/v2(?:[/?]|$)/;
const isV2 = (url: string): boolean => v2Url.test(url);

/** Builds the app; nothing is opened until the first request needs it. */
export function createApp(deps: AppDeps): App {
  const { log, metrics, config } = deps;
  const v1 = {
    ...deps,
    tokens: deps.tokens ?? createTokens(config.SECRET_KEY, config.ACCESS_TOKEN_EXPIRE_MINUTES),
    passwords: deps.passwords ?? createPasswords(),
    throttle: deps.throttle ?? createThrottle(),
    gate: deps.gate ?? createGate(),
    bodyMsMax: deps.bodyMsMax ?? bodyMsStandard,
  };
  const v2 = createV2({ ...v1, access: createAccessTokens(config.SECRET_KEY) });
  const app: App = new Hono();
  // v1 answers what no other room does: it has FastAPI's own words for paths and methods that nobody knows.
  app.all("*", async ({ req: { raw: request }, env }) => {
    const started = performance.now();
    const remote = env?.remoteAddr && "hostname" in env.remoteAddr ? env.remoteAddr.hostname : "";
    const address = clientAddress(request.headers, remote, config.TRUSTED_PROXIES);
    const { response, route } = await (isV2(request.url) ? v2 : routeV1.bind(null, v1))(request, address);
    const milliseconds = performance.now() - started;
    const method = methods.has(request.method) ? request.method : "OTHER";
    const { status } = response;
    metrics.requests.inc({ method, route, status: String(status) });
    metrics.requestSeconds.observe({ route }, milliseconds / 1000);
    // Of v2, whose answers name themselves by it.
    const request_id = response.headers.get("x-request-id") ?? undefined;
    const duration_ms = Math.round(milliseconds * 10) / 10;
    log.info("request", { method, route, status, duration_ms, ...(request_id ? { request_id } : {}) });
    return response;
  });
  return app;
}
