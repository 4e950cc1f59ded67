/** Loaded before the migrator's main module: kills the process at the place that FAILPOINT names, `name` or `name:3`. */
import { type Failpoint, hearFailpoints } from "../../../migrate/data/tools/failpoint.ts";

const [wanted, pass = "1"] = Deno.env.get("FAILPOINT")!.split(":");
const passes = new Map<Failpoint, number>();

hearFailpoints((name) => {
  const count = (passes.get(name) ?? 0) + 1;
  passes.set(name, count);
  if (name !== wanted || count < Number(pass)) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`${JSON.stringify(Object.fromEntries(passes))}\n`));
  Deno.kill(Deno.pid, "SIGKILL");
});
