/** What every call of v2 has at hand. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Config } from "../../../config.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import type { Role } from "../../../db/people/users.ts";
import type { Log } from "../../../log.ts";
import type { Metrics } from "../../../metrics.ts";
import type { Gate } from "../../common/gate.ts";
import type { Passwords } from "../../common/passwords.ts";
import type { LoginThrottle } from "../../common/throttle.ts";
import type { AccessTokens } from "./access.ts";

export interface V2Deps {
  sql: Pool;
  log: Log;
  config: Config;
  metrics: Metrics;
  access: AccessTokens;
  passwords: Passwords;
  throttle: LoginThrottle;
  gate: Gate;
  /** Where there is one: whether it answers. */
  redis?: { check(): Promise<unknown> } | undefined;
  /** Milliseconds that a body may take to come. */
  bodyMsMax: number;
  /** Aborted when the process is going: what streams ends then. */
  draining?: AbortSignal | undefined;
}

/** Somebody with an account. */
export interface UserPrincipal {
  kind: "user";
  id: string;
  email: string;
  fullname: string | null;
  roles: Role[];
  sessionId: string;
}

/** Somebody with a link to one task. */
export interface SharePrincipal {
  kind: "share";
  id: string;
  taskId: string;
  mode: "read" | "rate";
  blind: boolean;
}

export type Principal = UserPrincipal | SharePrincipal;

/**
 * `anyone`; `signed_in`: any active user; `reader`: the same, and a share of the task in the path; `rater`: a user who
 * is more than a guest, and a share to rate of that task; `member`: a user who is more than a guest; `owner`: a member,
 * and the statement that acts asks whether the task is theirs or they are an admin; `staff`: admin or manager; `admin`;
 * `share`: a share and nobody else.
 */
export type Who =
  | "anyone"
  | "signed_in"
  | "reader"
  | "rater"
  | "member"
  | "owner"
  | "staff"
  | "admin"
  | "share";

/** Handed in beside the request. */
export interface Bindings {
  /** The client's, for the throttle. */
  address: string;
  /** Filled in with the path of the route that answers, as in the table. */
  routed: { route: string };
}

export interface V2Env {
  Bindings: Bindings;
  Variables: {
    deps: V2Deps;
    requestId: string;
    /** There where the route is not for anyone. */
    principal: Principal;
  };
}

export type V2App = OpenAPIHono<V2Env>;
