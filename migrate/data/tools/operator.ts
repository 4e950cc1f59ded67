/** Who decides, for the journals, and what that person answers. */
import { userInfo } from "node:os";
import { createInterface } from "node:readline";
import process from "node:process";
import { printError } from "../../../process.ts";

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may have no name for its user.
    return "operator";
  }
}

/** Returns the given name, or the user and the machine. */
export const operatorName = (given: string | undefined): string =>
  given ?? `${userName()}@${Deno.hostname()}`;

/**
 * Returns a function that asks whether something is done, and reads the answer from standard input. The end of the input,
 * a stop and everything but `yes` mean no.
 */
export function createConfirm(signal: AbortSignal): (question: string) => Promise<boolean> {
  let lines: AsyncIterator<string> | undefined;
  const stopped = new Promise<undefined>((resolve) =>
    signal.addEventListener("abort", () => resolve(undefined), { once: true })
  );
  return async (question) => {
    printError(`${question}.\nType 'yes' when that is done:`);
    lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const answer = await Promise.race([lines.next(), stopped]);
    return answer?.done === false && /^y(es)?$/i.test(answer.value.trim());
  };
}
