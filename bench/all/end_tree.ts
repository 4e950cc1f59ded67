/** Ends a bench with all servers that it has started. */
import { childrenOf, isAlive } from "../../dev/servers/pids.ts";

const graceMs = 10_000;

/** Returns the processes that a process has started, and those that they have started; none where the system does not tell. */
function listTree(pid: number): number[] {
  try {
    return childrenOf(pid).flatMap((child) => [child, ...listTree(child)]);
  } catch {
    return [];
  }
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has already ended.
  }
}

/**
 * Kills a bench and ends its servers. A bench does not stop in the middle of a measurement, so it is not asked to. SIGINT
 * lets PostgreSQL end at once without waiting for its clients.
 */
export async function endTree(pid: number): Promise<void> {
  const servers = listTree(pid);
  kill(pid, "SIGKILL");
  for (const server of servers) kill(server, "SIGINT");
  const end = performance.now() + graceMs;
  while (servers.some(isAlive) && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const server of servers.filter(isAlive)) kill(server, "SIGKILL");
}
