/** Polls a remote job until it has ended. */
import type { PollResult } from "./api.ts";
import type { Outcome } from "./retry.ts";

/** Number of polls after which a finished job without an image counts as an error. */
const emptiesMax = 3;

/**
 * Polls until the job has ended or `pollsMax` is reached.
 *
 * @param poll polls once
 * @param wait waits for one polling interval
 */
export async function followJob(
  { poll, wait, pollsMax }: { poll: () => Promise<PollResult>; wait: () => Promise<void>; pollsMax: number },
): Promise<Outcome> {
  let empties = 0;
  for (let polls = 1;; polls++) {
    const result = await poll();
    if (result.kind === "done" || result.kind === "timeout" || result.kind === "illegal") return result;
    if (result.kind === "failure") return { kind: "error", reason: result.reason };
    if (result.kind === "empty" && ++empties === emptiesMax) {
      return { kind: "error", reason: "图像接口没有给出图像地址" };
    }
    if (polls >= pollsMax) return { kind: "error", reason: `查询 ${polls} 次后仍无图像` };
    await wait();
  }
}
