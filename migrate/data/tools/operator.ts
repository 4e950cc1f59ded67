/** Who decides, for the journals. */
import { userInfo } from "node:os";

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
