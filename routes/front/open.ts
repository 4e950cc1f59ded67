/** Opens the front of an API process that stands before the old backend. */
import type { Config } from "../../config.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { Front } from "./front.ts";
import { PhaseWatch } from "./phase_watch.ts";
import { connectOldBackend } from "./proxy.ts";
import { createShadow } from "./shadow.ts";

/** A front that looks at the phase until its disposal. */
export interface OpenFront extends AsyncDisposable {
  front: Front;
}

/** @throws AppError invalid_config when the URL is not that of a server */
function checkUrl(text: string): URL {
  const url = URL.parse(text);
  if (
    url && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "" && url.username === ""
  ) {
    return url;
  }
  throw new AppError(
    "invalid_config",
    `LEGACY_API_URL '${text}': wanted http://HOST:PORT or https://HOST:PORT of the old backend, without a path`,
  );
}

/**
 * Opens the front if LEGACY_API_URL is set.
 *
 * @throws AppError invalid_config
 */
export async function openFront(
  { config, sql, log, metrics }: { config: Config; sql: Pool; log: Log; metrics: Metrics },
): Promise<OpenFront | undefined> {
  if (config.LEGACY_API_URL === "") return undefined;
  const old = connectOldBackend(checkUrl(config.LEGACY_API_URL).href);
  const watch = new PhaseWatch({
    sql,
    log,
    secretKey: config.SECRET_KEY,
    hostname: Deno.hostname(),
    pid: Deno.pid,
  });
  await watch.start();
  const { HOLD_MS: holdMs, CORS_ORIGINS: origins, SHADOW_PERCENT: percent } = config;
  const askOld = (request: Request) => old.send(request, "127.0.0.1", () => {});
  const shadow = createShadow({ sql, log, metrics, askOld, percent });
  return {
    front: new Front({ sql, log, metrics, old, watch, holdMs, origins, shadow }),
    async [Symbol.asyncDispose]() {
      await shadow[Symbol.asyncDispose]();
      await watch[Symbol.asyncDispose]();
      await old.close();
    },
  };
}
