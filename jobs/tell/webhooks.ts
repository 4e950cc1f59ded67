/** Sends signed webhook deliveries in order, and repeats failed ones. A slow receiver delays no other. */
import { readWebhookUrl } from "../../webhook_url.ts";
import type { Sql } from "../../db/pg/connect.ts";
import { claimDueDeliveries, type DueDelivery, saveDelivery } from "../../db/queue/webhooks.ts";
import type { Log } from "../../log.ts";
import { type PostDeps, postPinned, type PostResult } from "./webhooks_post.ts";

export interface WebhookDeps {
  sql: Sql;
  log: Log;
  /** The setting WEBHOOK_HOSTS. It may have changed since a webhook was created. */
  hosts: string[];
  /** Maximum wait for a receiver's answer. */
  timeoutMs?: number;
  random?: () => number;
  net?: PostDeps;
}

const timeoutMsDefault = 10_000;
/** Time for which a claimed delivery is not due for other senders. It is longer than a try takes. */
const claimMs = 60_000;
export const triesMax = 12;
/** Maximum number of deliveries under way, in all and to one host. */
const sendingMax = 64;
const hostMax = 8;

/** Returns the wait after a failed try: 5 s, 10 s, … up to an hour; 1.4 hours over all tries. */
const retryAfterMs = (tries: number, random: () => number): number =>
  Math.round(Math.min(5_000 * 2 ** (tries - 1), 3_600_000) * (0.8 + 0.4 * random()));

const hex = (bytes: ArrayBuffer): string => new Uint8Array(bytes).toHex();

/**
 * Signs a body. Returns `t=…,v1=…`: the time of the signature and the HMAC-SHA-256 of `t.body`.
 *
 * @param seconds Unix time
 */
export async function signBody(secret: string, body: string, seconds: number): Promise<string> {
  const encoder = new TextEncoder();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), hmac, false, ["sign"]);
  return `t=${seconds},v1=${
    hex(await crypto.subtle.sign("HMAC", key, encoder.encode(`${seconds}.${body}`)))
  }`;
}

/** Returns the body of a delivery. Its `task` shows the state at the time of sending. */
export function deliveryBody(due: DueDelivery): string {
  const {
    id,
    event,
    created_at,
    task_id,
    task_name,
    status,
    hold_reason,
    total,
    completed,
    failed,
    cancelled,
  } = due;
  return JSON.stringify({
    delivery: id,
    event,
    at: created_at.toISOString(),
    task: {
      id: task_id,
      name: task_name,
      status,
      hold_reason,
      total,
      completed,
      failed,
      cancelled,
      created_at: due.task_created_at.toISOString(),
      completed_at: due.completed_at?.toISOString() ?? null,
    },
  });
}

export class WebhookSender {
  readonly #deps: WebhookDeps;
  readonly #sending = new Map<string, Promise<void>>();
  readonly #hosts = new Map<string, number>();

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
  }

  /**
   * Starts the due deliveries, up to the limits. Does not wait for their ends.
   *
   * @returns the number of started deliveries
   */
  async startDue(): Promise<number> {
    const limit = sendingMax - this.#sending.size;
    if (limit <= 0) return 0;
    const fullHosts = [...this.#hosts].filter(([, count]) => count >= hostMax).map(([host]) => host);
    const due = await claimDueDeliveries(this.#deps.sql, { limit, leaseMs: claimMs, fullHosts, hostMax });
    for (const delivery of due) {
      const { host } = new URL(delivery.url);
      this.#hosts.set(host, (this.#hosts.get(host) ?? 0) + 1);
      const sent = this.#send(delivery).catch((error) =>
        this.#deps.log.warn("saving a webhook delivery failed: it is sent again", { cause: String(error) })
      ).finally(() => {
        this.#sending.delete(delivery.id);
        const left = this.#hosts.get(host)! - 1;
        if (left > 0) this.#hosts.set(host, left);
        else this.#hosts.delete(host);
      });
      this.#sending.set(delivery.id, sent);
    }
    return due.length;
  }

  /** Sends until no delivery is due and all tries have ended. */
  async drain(): Promise<void> {
    while (await this.startDue() > 0 || this.#sending.size > 0) await Promise.all(this.#sending.values());
  }

  async #send(due: DueDelivery): Promise<void> {
    const { sql, log, random = Math.random } = this.#deps;
    const result = await this.#post(due);
    const status = "status" in result ? result.status : null;
    const arrived = status !== null && status >= 200 && status < 300;
    // HTTP 410 means that the receiver is gone for good.
    const closed = arrived || status === 410 || due.tries >= triesMax;
    const refusal = status !== null && status >= 300 && status < 400
      ? "redirects are not followed"
      : `HTTP ${status}`;
    const error = arrived ? null : "error" in result ? result.error : refusal;
    const { id, tries } = due;
    await saveDelivery(sql, { id, tries, closed, againMs: retryAfterMs(tries, random), status, error });
    if (error === null) return;
    const fields = { task_id: due.task_id, webhook: due.webhook_id, tries, cause: error };
    log.warn(closed ? "webhook abandoned" : "webhook will be sent again", fields);
  }

  async #post(due: DueDelivery): Promise<PostResult> {
    const { hosts, timeoutMs = timeoutMsDefault, net } = this.#deps;
    const target = readWebhookUrl(hosts, due.url);
    if (typeof target === "string") return { error: "its host is not in WEBHOOK_HOSTS any more" };
    const body = deliveryBody(due);
    const headers = {
      "content-type": "application/json",
      "user-agent": "contactsheet",
      "x-contactsheet-event": due.event,
      "x-contactsheet-delivery": due.id,
      "x-contactsheet-signature": await signBody(due.secret, body, Math.floor(Date.now() / 1000)),
    };
    return await postPinned({ ...target, headers, body, timeoutMs }, net);
  }
}
