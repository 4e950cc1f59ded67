/** The API's application: sends each request to v1, v2 or the console, counts it and logs it. */
import { Hono } from "hono";
import type { Config } from "../config.ts";
import type { Pool } from "../db/pg/connect.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { ConsoleFiles } from "./console_files.ts";
import { createConsole, isConsolePath } from "./console.ts";
import { clientAddress, networkOf } from "./common/address.ts";
import { addProtection } from "./common/headers.ts";
import { createDocsFiles } from "./common/docs.ts";
import type { Replica } from "../db/pg/replica.ts";
import { createPasswords, type Passwords } from "./common/passwords.ts";
import { answerFrom } from "./common/reads.ts";
import { createThrottle, type LoginThrottle } from "./common/throttle.ts";
import { createTokens, type Tokens } from "./common/tokens.ts";
import { bodyMsDefault } from "./v1/body.ts";
import { createGate, type Gate } from "./common/gate.ts";
import { askToRepeatElsewhere, isRepeatedElsewhere } from "./common/leaving.ts";
import type { Front } from "./front/front.ts";
import { routeV1 } from "./v1/router.ts";
import { createV2 } from "./v2/app.ts";

export interface AppDeps {
  sql: Pool;
  log: Log;
  metrics: Metrics;
  config: Config;
  /** The following four are created with their defaults if they are absent. */
  tokens?: Tokens;
  passwords?: Passwords;
  throttle?: LoginThrottle;
  gate?: Gate;
  /** The Redis health check that v2's status reports. */
  redis?: { check(): Promise<unknown> };
  /** Decides which system answers v1, where the API stands before the old backend. */
  front?: Front | undefined;
  /** The console's files, if they are not those that were built. */
  consoleFiles?: ConsoleFiles;
  /** Answers reads, where there is one. */
  replica?: Replica | undefined;
  /** Maximum time in milliseconds for a request body to arrive. */
  bodyMsMax?: number;
  /** Time between the doctor's two looks, if it is not the usual one. */
  doctorSettleMs?: number | undefined;
  /** Aborted when the process drains. Answers then ask the client or the proxy for a new connection. */
  draining?: AbortSignal;
  /** Aborted shortly before the process stops to listen. Requests that a proxy can repeat elsewhere are refused then. */
  leaving?: AbortSignal;
  /** Aborted when the process stops to listen. Event streams end then. */
  closing?: AbortSignal;
}

/** Connection data that Deno.serve passes along with a request. */
type Env = { Bindings: { remoteAddr?: Deno.Addr } };
export type App = Hono<Env>;

/** Methods with a metrics label of their own; all others share the label `OTHER`. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

const pathOf = (url: string): string => /^https?:\/\/[^/]*([^?#]*)/.exec(url)?.[1] ?? "/";

const v2Url = /^https?:\/\/[^/]*\/api\/v2(?:[/?]|$)/;
const isV2 = (url: string): boolean => v2Url.test(url);

/** A response with the path of the route that made it, and the id of the user or share that is known by its token. */
interface Routed {
  response: Response;
  route: string;
  caller?: string | undefined;
}

/** Adds the protective headers to a response of this system. One of the old backend is passed on as it is. */
async function protect(answer: Promise<Routed>): Promise<Routed> {
  const routed = await answer;
  addProtection(routed.response.headers);
  return routed;
}

/** Builds the application. It opens no connection until the first request needs one. */
export function createApp(deps: AppDeps): App {
  const { log, metrics, config } = deps;
  const v1 = {
    ...deps,
    tokens: deps.tokens ?? createTokens(config.SECRET_KEY, config.ACCESS_TOKEN_EXPIRE_MINUTES),
    passwords: deps.passwords ?? createPasswords(),
    throttle: deps.throttle ?? createThrottle(),
    gate: deps.gate ?? createGate({ metrics }),
    docsFiles: createDocsFiles(),
    bodyMsMax: deps.bodyMsMax ?? bodyMsDefault,
  };
  const { front } = deps;
  const reads = { replica: deps.replica, metrics };
  const v2 = createV2(
    Object.assign({}, v1, { changeDocuments: front?.change.bind(front) }),
  );
  const answerConsole = createConsole(config, deps.consoleFiles);
  const app: App = new Hono();
  // v1 handles every other request, because unknown paths and methods get FastAPI's responses.
  app.all("*", async ({ req: { raw: request }, env }) => {
    // Neither counted nor logged: the process that answers instead does both.
    if (deps.leaving?.aborted && isRepeatedElsewhere(request)) return askToRepeatElsewhere();
    const startedAt = performance.now();
    const remote = env?.remoteAddr && "hostname" in env.remoteAddr ? env.remoteAddr.hostname : "";
    const address = clientAddress(request.headers, remote, config.TRUSTED_PROXIES);
    const network = networkOf(address);
    const handleV1 = (request: Request) =>
      protect(answerFrom(reads, request, (sql) => routeV1(sql ? { ...v1, sql } : v1, request, network)));
    const answer: Routed | Promise<Routed> = isV2(request.url)
      ? protect(answerFrom(reads, request, (sql) => v2(request, network, sql)))
      : isConsolePath(pathOf(request.url))
      ? protect(answerConsole(request).then((response) => ({ response, route: "/console" })))
      : front?.answer(request, remote, handleV1) ?? handleV1(request);
    const { response, route, caller } = await answer;
    if (deps.draining?.aborted) response.headers.set("connection", "close");
    const milliseconds = performance.now() - startedAt;
    const method = methods.has(request.method) ? request.method : "OTHER";
    const { status } = response;
    metrics.requests.inc({ method, route, status: String(status) });
    metrics.requestSeconds.observe({ route }, milliseconds / 1000);
    // Only responses of v2 carry a request id.
    const request_id = response.headers.get("x-request-id") ?? undefined;
    const duration_ms = Math.round(milliseconds * 10) / 10;
    const fields = { method, route, status, duration_ms, address, caller, request_id };
    log.info("request", fields);
    return response;
  });
  return app;
}
