/** The context of a v2 request: dependencies, principal and access rules. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Config } from "../../../config.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import type { Role } from "../../../db/people/users.ts";
import type { Log } from "../../../log.ts";
import type { Metrics } from "../../../metrics.ts";
import type { DocsFiles } from "../../common/docs.ts";
import type { Gate } from "../../common/gate.ts";
import type { Passwords } from "../../common/passwords.ts";
import type { Buckets, LoginThrottle } from "../../common/throttle.ts";
import type { AccessTokens } from "./access_tokens.ts";
import type { Secrets } from "./secrets.ts";

/** Dependencies that the process passes to v2. */
export interface V2Options {
  sql: Pool;
  log: Log;
  config: Config;
  metrics: Metrics;
  passwords: Passwords;
  throttle: LoginThrottle;
  gate: Gate;
  docsFiles: DocsFiles;
  /** Redis, if the process has a connection; its state is reported by `GET /system/status`. */
  redis?: { check(): Promise<unknown> } | undefined;
  /**
   * Runs a change of users or tasks, if the API stands before the old backend. Waits while the traffic is switched.
   *
   * @throws AppError before_cutover while the old backend is in charge of users and tasks; busy
   */
  changeDocuments?: ((signal: AbortSignal, work: () => Promise<void>) => Promise<void>) | undefined;
  /** Maximum time in milliseconds for a request body to arrive. */
  bodyMsMax: number;
  /** Time in milliseconds between the doctor's two looks, if it is not the usual one. */
  doctorSettleMs?: number | undefined;
  /** Aborted when the process stops to listen. Open streams end then. */
  closing?: AbortSignal | undefined;
}

/** Dependencies of all routes, with the state that v2 keeps in memory. */
export interface V2Deps extends V2Options {
  accessTokens: AccessTokens;
  secrets: Secrets;
  /** Requests that each principal and each address may still make. */
  rateLimits: Buckets;
}

/** A user, signed in by an access token. */
export interface UserPrincipal {
  kind: "user";
  id: string;
  email: string;
  fullname: string | null;
  roles: Role[];
  sessionId: string;
  /** The user's `token_version` that the access token was signed with. */
  tokenVersion: number;
  /** Expiry of the access token, in milliseconds since 1970. */
  tokenExpiresAtMs: number;
}

/** A share: whoever has the link of one task. */
export interface SharePrincipal {
  kind: "share";
  id: string;
  taskId: string;
  mode: "read" | "rate";
  blind: boolean;
}

export type Principal = UserPrincipal | SharePrincipal;

/**
 * The principals that a route permits:
 *
 * - `anyone`: no token is needed;
 * - `signed_in`: any active user;
 * - `reader`: any active user, and a share of the task in the path;
 * - `rater`: a member, and a share with mode `rate` of the task in the path;
 * - `member`: an active user whose role is more than `guest`;
 * - `owner`: a member; the statement that changes the task checks that it is theirs or that they are an admin;
 * - `staff`: an admin or a manager;
 * - `admin`: an admin;
 * - `share`: a share only.
 */
export type Access =
  | "anyone"
  | "signed_in"
  | "reader"
  | "rater"
  | "member"
  | "owner"
  | "staff"
  | "admin"
  | "share";

/** Values that accompany each request into the app. */
export interface Bindings {
  /** The client's network, which the throttle and the rate limit count by. */
  address: string;
  /** Pool to use instead of that of the dependencies: a replica, for reads. */
  sql?: Pool | undefined;
  /** Receives the path of the route that responds, as in the route table. */
  routed: { route: string; caller?: string };
}

export interface V2Env {
  Bindings: Bindings;
  Variables: {
    deps: V2Deps;
    requestId: string;
    /** Set on all routes whose access is not `anyone`. */
    principal: Principal;
  };
}

export type V2App = OpenAPIHono<V2Env>;
