/** Stops the writes of the old backend, and lets them go on. */
import { AppError } from "../../../errors.ts";
import { setWriteBlock } from "../sources/write_block.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { SwitchContext } from "./context.ts";
import type { FreezeWay } from "./options.ts";

const hookMs = 10_000;
const hookBytesMax = 64 * 1024;

/** @throws AppError conflict when the operator's hook does not answer with 2xx */
async function callHook({ http, by }: SwitchContext, url: string, action: "freeze" | "thaw"): Promise<void> {
  const result = await http({
    method: "POST",
    url,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ action, by }),
    timeoutMs: hookMs,
    bodyBytesMax: hookBytesMax,
  });
  if (result.kind === "answer" && result.status >= 200 && result.status < 300) return;
  const what = result.kind === "answer"
    ? `answered ${result.status}`
    : result.kind === "unreachable"
    ? `is unreachable (${result.reason})`
    : result.kind === "slow"
    ? `did not answer within ${hookMs / 1000} s`
    : "answered too much";
  throw new AppError("conflict", `calling the hook '${url}' with action '${action}': it ${what}; wanted 2xx`);
}

/** Stops all writes to MongoDB. May be repeated. */
export async function freeze(context: SwitchContext, way: FreezeWay): Promise<void> {
  if (way.way === "mongodb") await setWriteBlock(context.source.client, true);
  if (way.way === "hook") await callHook(context, way.url, "freeze");
  failpoint("freeze.requested");
}

/** Lets MongoDB take writes again. May be repeated. */
export async function thaw(context: SwitchContext, way: FreezeWay): Promise<void> {
  if (way.way === "mongodb") await setWriteBlock(context.source.client, false);
  if (way.way === "hook") await callHook(context, way.url, "thaw");
  if (way.way === "confirmed") {
    context.onNote("start the old backend and its executor again: you had stopped them");
  }
  failpoint("thaw.requested");
}
