/** Preloaded before the migrator. Kills the process at the failpoint in FAILPOINT: `name`, or `name:3` for its third pass. */
import { type Failpoint, onFailpoint } from "../../../migrate/data/tools/failpoint.ts";

const [point, pass = "1"] = Deno.env.get("FAILPOINT")!.split(":");
const passes = new Map<Failpoint, number>();

onFailpoint((name) => {
  const count = (passes.get(name) ?? 0) + 1;
  passes.set(name, count);
  if (name !== point || count < Number(pass)) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`${JSON.stringify(Object.fromEntries(passes))}\n`));
  Deno.kill(Deno.pid, "SIGKILL");
});
