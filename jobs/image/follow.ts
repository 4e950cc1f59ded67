/** From a job's id to how it ended: the polls of one attempt, counted. */
import type { PollResult } from "./api.ts";
import type { Outcome } from "./retry.ts";

/** A job that is done without an image is asked again this often before it counts as an error. */
const emptiesMax = 3;

/**
 * Polls until the job has ended or the polls are used up.
 *
 * @param poll asks once
 * @param wait lets one poll interval pass
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
