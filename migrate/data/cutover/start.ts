/** What follows the switch: MongoDB takes the writes of the way back, and unfinished work is decided. */
import { decideUnfinished } from "../ledger/unfinished.ts";
import { readBlockRights, setWriteBlock } from "../sources/write_block.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { SwitchContext } from "./context.ts";
import type { SwitchOptions } from "./options.ts";
import type { Detail, Steps } from "./steps.ts";

/**
 * Lets the way back write. An account that may pass the block keeps it, so that nobody else can write.
 *
 * @returns whether MongoDB still blocks writes
 */
async function admitWayBack({ source, onNote }: SwitchContext): Promise<boolean> {
  const { canBypass } = await readBlockRights(source.client, source.version);
  if (canBypass) return true;
  await setWriteBlock(source.client, false);
  onNote(
    "MongoDB takes writes again, because this account cannot pass its block and the way back must write: stop the " +
      "old backend's executor now if it still runs",
  );
  return false;
}

/** Does what follows the switch. May be repeated. */
export async function startTarget(
  context: SwitchContext,
  steps: Steps,
  { freeze, unfinished }: SwitchOptions,
): Promise<Detail> {
  return await steps.run("start", {}, async () => {
    const blocked = freeze.way === "mongodb" ? await admitWayBack(context) : false;
    failpoint("start.admitted");
    const { tasks_resumed, cells_resumed, tasks_cancelled, cells_cancelled, tasks_ended } =
      await decideUnfinished(
        context.pool,
        unfinished ?? "keep",
      );
    return {
      mongodb_blocked: blocked,
      unfinished: unfinished ?? "keep",
      tasks_resumed,
      cells_resumed,
      tasks_cancelled,
      cells_cancelled,
      tasks_ended,
    };
  });
}
