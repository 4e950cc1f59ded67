/**
 * Loaded before a program of the rig. It kills or stops the process at a failpoint. CHAOS_ROOT is the project whose program
 * is run, CHAOS_FAILPOINT a file with an {@link ArmedFailpoint} as JSON. The process reads it when it gets SIGUSR2, or at
 * its start where CHAOS_ARMED is set.
 */

/** The failpoint at which a process ends or stands still. */
export interface ArmedFailpoint {
  point: string;
  signal: "SIGKILL" | "SIGSTOP";
  /** Time after which a stopped process goes on. */
  ms: number;
}

const path = Deno.env.get("CHAOS_FAILPOINT")!;
const { listenToFailpoints } = await import(new URL("failpoints.ts", Deno.env.get("CHAOS_ROOT")!).href);
let armed: ArmedFailpoint | undefined;
const arm = () => armed = JSON.parse(Deno.readTextFileSync(path));

function stopHere({ point, signal, ms }: ArmedFailpoint): void {
  armed = undefined;
  Deno.stderr.writeSync(new TextEncoder().encode(`failpoint ${point}: ${signal}\n`));
  if (signal === "SIGSTOP") {
    // A process that stands still cannot wake itself.
    const args = ["-c", `sleep ${ms / 1000}; kill -CONT ${Deno.pid}`];
    new Deno.Command("sh", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn().unref();
  }
  Deno.kill(Deno.pid, signal);
}

listenToFailpoints((name: string) => {
  if (armed?.point === name) stopHere(armed);
});
if (Deno.env.get("CHAOS_ARMED")) arm();
else Deno.addSignalListener("SIGUSR2", arm);
