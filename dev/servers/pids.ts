/** Processes by their id, also those that this process has not started. */

/** Reports whether a process runs. One that has ended and that its parent has not waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
  } catch {
    return false;
  }
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    // There is no /proc, or the process has just ended.
    return Deno.build.os !== "linux";
  }
}

/** Returns the processes that a process has started and that run (Linux only). */
export const childrenOf = (pid: number): number[] =>
  Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
