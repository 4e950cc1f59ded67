/** Everything a fault can lay hands on. */
import type { Pool } from "../../db/pg/connect.ts";
import type { ImageCall } from "../servers/image_api.ts";
import type { Place } from "./fleet.ts";
import type { RigPostgres, RigRedis } from "./servers.ts";

/** What a fault is told: whom it hits, for how long, and its share of chance. */
export interface Blow {
  place: number;
  ms: number;
  luck: number;
}

/** How the image API feels just now. */
export class Mood {
  /** Answers instead of the API: a status, perhaps with Retry-After in seconds. */
  refusal: { status: number; retryAfter?: number; html?: true } | undefined;
  /** Each call waits so long before anything else. */
  hangMs = 0;

  async disturb(call: ImageCall): Promise<Response | undefined> {
    if (this.hangMs > 0) await pause(this.hangMs);
    const { refusal } = this;
    if (!refusal || call === "hook" && refusal.status !== 500) return undefined;
    const { status, retryAfter, html } = refusal;
    if (html) {
      return new Response("<html>bad gateway</html>", { status, headers: { "content-type": "text/html" } });
    }
    const headers: HeadersInit = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
    return Response.json({ detail: "a bad day" }, { status, headers });
  }
}

export interface Stage {
  places: Place[];
  postgres: RigPostgres;
  redis: RigRedis;
  mood: Mood;
  /** The run's database, past all proxies. */
  sql: Pool;
  database: string;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
