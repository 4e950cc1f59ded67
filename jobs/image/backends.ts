/** The two generators, each with its own address, pace and health: one that fails does not touch the other. */
import type { Config } from "../../config.ts";
import type { Claimed, Queue } from "../../db/queue/subtasks.ts";
import type { Log } from "../../log.ts";
import type { ImageApi } from "./api.ts";
import { BackendHealth, watchHttp } from "./health.ts";
import type { Http } from "../../http.ts";

/** Elements named lumina are drawn by another generator; rows of `high` may be either's. */
function isLumina({ queue, prompts }: Claimed): boolean {
  if (queue !== "high") return queue === "lumina";
  const entries = JSON.parse(prompts) as unknown[];
  return entries.some((entry) =>
    String((entry as { name?: unknown } | null)?.name ?? "").toLowerCase().includes("lumina")
  );
}

/** The image API of one backend, and how its jobs are polled. */
export interface Backend extends Omit<ImageApi, "signal"> {
  pollMs: number;
  pollsMax: number;
}

export interface Backends {
  of: (subtask: Claimed) => Backend;
  /** How many new attempts of a queue its generator's circuit lets through. */
  room: (queue: Queue) => number;
  /** JSON text of what was counted since the start, by backend. */
  describeHealth: () => string;
}

/** Opens the generators of the settings over `http`. */
export function openBackends({ config, http, log }: { config: Config; http: Http; log: Log }): Backends {
  const watch = (backend: string) =>
    new BackendHealth((open, forMs) =>
      open
        ? log.warn("the image API is down: no new attempts for a while", {
          backend,
          pause_ms: Math.round(forMs),
        })
        : log.info("the image API is back", { backend })
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
    room: (queue) => (queue === "lumina" ? health.lumina : health.standard).room,
    describeHealth: () => JSON.stringify({ standard: health.standard.counts, lumina: health.lumina.counts }),
  };
}
