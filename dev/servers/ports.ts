/** Ports below those that systems give to connections: a server that starts again later finds its port free. */
const [portMin, portMax] = [20_000, 32_767];
const attemptsMax = 100;

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

/** Returns a TCP port of loopback that is free at the moment. */
export function findFreePort(): number {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin + 1));
    if (isFree(port)) return port;
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}
