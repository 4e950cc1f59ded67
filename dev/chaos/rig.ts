/** The rig: the servers and workers of a run, and the state of the image API's faults. */
import type { Pool } from "../../db/pg/connect.ts";
import type { ImageCall } from "../servers/image_api.ts";
import type { SupervisedWorker } from "./workers.ts";
import type { RigPostgres } from "./nodes/postgres.ts";
import type { RigRedis } from "./nodes/redis.ts";
import { pause } from "./servers.ts";

/** Parameters of one injected fault. */
export interface FaultParameters {
  /** Index of the affected worker. */
  workerIndex: number;
  /** Duration. */
  ms: number;
  /** Random number from 0 (inclusive) to 1 (exclusive). */
  variation: number;
}

/** The active faults of the fake image API. */
export class ImageApiFaults {
  /** Answer to every call while it is set; `retryAfter` is in seconds. */
  errorAnswer: { status: number; retryAfter?: number; html?: true } | undefined;
  /** Delay of every call. */
  delayMs = 0;

  /** Delays a call and returns the error to answer it with, if any. */
  async disturb(call: ImageCall): Promise<Response | undefined> {
    if (this.delayMs > 0) await pause(this.delayMs);
    const { errorAnswer } = this;
    if (!errorAnswer || call === "hook" && errorAnswer.status !== 500) return undefined;
    const { status, retryAfter, html } = errorAnswer;
    if (html) {
      return new Response("<html>bad gateway</html>", { status, headers: { "content-type": "text/html" } });
    }
    const headers: HeadersInit = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
    return Response.json({ detail: "injected fault" }, { status, headers });
  }
}

/** Everything that a fault can affect. */
export interface Rig {
  workers: SupervisedWorker[];
  postgres: RigPostgres;
  redis: RigRedis;
  imageApi: ImageApiFaults;
  /** Pool on the run's database that does not use a proxy. */
  sql: Pool;
  database: string;
}

/** A kind of fault. It is injected and removed again by one function. */
export interface Fault {
  /** Description for `--list` and docs/chaos.md. */
  about: string;
  /** Minimum and maximum duration in milliseconds. */
  ms: readonly [number, number];
  /** Relative frequency in generated plans. */
  weight: number;
  /** Set if the fault may make attempts fail although the worker behaves correctly. */
  spoilsAttempts?: true;
  /** Set if work must progress while the fault lasts. */
  keepsWorking?: true;
  /** Injects the fault and resolves once it is removed again. */
  inject: (rig: Rig, parameters: FaultParameters) => Promise<unknown>;
}

/** Returns the worker that a fault affects. */
export const workerOf = ({ workers }: Rig, { workerIndex }: FaultParameters): SupervisedWorker =>
  workers[workerIndex]!;
