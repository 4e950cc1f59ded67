/** The two backends of the image API. Each has its own address, polling rate and health. */
import type { Config } from "../../config.ts";
import { backendOf } from "../../db/queue/backends.ts";
import type { ClaimedSubtask, Queue } from "../../db/queue/subtasks.ts";
import type { Log } from "../../log.ts";
import type { ImageApi } from "./api.ts";
import { BackendHealth, watchHttp } from "./health.ts";
import type { Http } from "../../http.ts";

/** Reports whether backend `lumina` draws a subtask. In queue `high`, the names of its prompts decide. */
function isLumina({ queue, prompts }: ClaimedSubtask): boolean {
  if (queue !== "high") return queue === "lumina";
  const entries = JSON.parse(prompts) as unknown[];
  return entries.some((entry) =>
    String((entry as { name?: unknown } | null)?.name ?? "").toLowerCase().includes("lumina")
  );
}

/** One backend of the image API, with the rate at which its jobs are polled. */
export interface Backend extends Omit<ImageApi, "signal"> {
  pollMs: number;
  pollsMax: number;
}

export interface Backends {
  of: (subtask: ClaimedSubtask) => Backend;
  /** Returns the maximum of running attempts at which a queue's backend accepts a new one. */
  attemptsMax: (queue: Queue) => number;
  /** Returns the counts since the start by backend, as JSON text. */
  describeHealth: () => string;
}

/** Creates the backends from the settings. */
export function openBackends({ config, http, log }: { config: Config; http: Http; log: Log }): Backends {
  const watch = (backend: string) =>
    new BackendHealth((open, forMs) =>
      open
        ? log.warn("the image API fails: its circuit is open and no attempts start", {
          backend,
          pause_ms: Math.round(forMs),
        })
        : log.info("the image API answers again", { backend })
    );
  const health = { standard: watch("standard"), lumina: watch("lumina") };
  const token = config.NIETA_XTOKEN;
  const standard: Backend = {
    http: watchHttp(http, health.standard),
    token,
    baseUrl: config.IMAGE_API_URL,
    pollMs: config.IMAGE_POLLING_INTERVAL * 1000,
    pollsMax: config.IMAGE_MAX_POLLING_ATTEMPTS,
  };
  const lumina: Backend = {
    http: watchHttp(http, health.lumina),
    token,
    baseUrl: config.LUMINA_API_URL,
    pollMs: config.LUMINA_POLLING_INTERVAL * 1000,
    pollsMax: config.LUMINA_MAX_POLLING_ATTEMPTS,
  };
  return {
    of: (subtask) => isLumina(subtask) ? lumina : standard,
    attemptsMax: (queue) => health[backendOf(queue)].attemptsMax,
    describeHealth: () => JSON.stringify({ standard: health.standard.counts, lumina: health.lumina.counts }),
  };
}
