/** Stops the writes of the system in charge, and lets them go on: MongoDB, hooks of the operator, and a person. */
import { AppError } from "../../../errors.ts";
import { setWriteBlock } from "../sources/write_block.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { SwitchContext } from "./context.ts";
import type { FreezeWay, ProxyWay } from "./options.ts";
import type { Steps } from "./steps.ts";

const hookMs = 10_000;
const hookBytesMax = 64 * 1024;

/** @throws AppError conflict when the operator's hook does not answer with 2xx */
async function callHook({ http, by }: SwitchContext, url: string, action: string): Promise<void> {
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

/** What a proxy of the operator is told: refuse or hold writes, send everything to one system, or go on as before. */
export type ProxyAction = "hold" | "new" | "old" | "resume";

const sentences: Record<ProxyAction, string> = {
  hold: "let your proxy refuse or hold all writes, and wait until none is under way",
  new: "let your proxy send all requests to this system, and pass writes on again",
  old: "let your proxy send all requests to the old backend, and pass writes on again",
  resume: "let your proxy pass writes on to the same system as before",
};

/**
 * Tells the operator's proxy, or the operator, what to do. May be repeated. The front of the API follows the phase by
 * itself.
 *
 * @throws AppError conflict unless it is confirmed
 */
export async function askProxy(context: SwitchContext, proxy: ProxyWay, action: ProxyAction): Promise<void> {
  if (proxy.way === "front") return;
  const sentence = sentences[action];
  if (proxy.way === "hook") await callHook(context, proxy.url, action);
  else if (action === "resume") context.onNote(`if it does not do so yet, ${sentence}`);
  else if (!await (context.confirm?.(`now ${sentence}`) ?? false)) {
    throw new AppError("conflict", `asking to ${sentence}: it was not confirmed`);
  }
  failpoint("proxy.asked");
}

/**
 * Points the operator's proxy, which holds the writes, at the system that is in charge now. The front of the API needs no
 * such step.
 *
 * @throws AppError conflict
 */
export async function pointProxy(
  context: SwitchContext,
  steps: Steps,
  proxy: ProxyWay,
  to: "new" | "old",
): Promise<void> {
  if (proxy.way === "front") return;
  await steps.run("point", {}, async () => {
    try {
      await askProxy(context, proxy, to);
    } catch (error) {
      const who = to === "new" ? "this system" : "the old backend";
      throw new AppError(
        "conflict",
        `${(error as Error).message}. The switch was made, and ${who} is in charge: mend it, then run ` +
          "'deno task migrate data cutover --continue'",
      );
    }
    return {};
  });
}
