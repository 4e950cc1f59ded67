/** A TCP address behind which the server can change, as a name or a virtual address does in a failover. */

/** A running forwarder. */
export interface Forwarder extends AsyncDisposable {
  port: number;
  /** Port of the server to which new connections go. Open connections stay where they are. */
  to: number;
  /** Number of connections that were accepted. */
  accepted: number;
}

/** Forwards connections to a free loopback port to the loopback port `to`. */
export function startForwarder(to: number): Forwarder {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const forwarder = { port: listener.addr.port, to, accepted: 0 };
  const open = new Set<Deno.Conn>();
  const close = (side: Deno.Conn) => {
    if (open.delete(side)) side.close();
  };
  const serve = async (client: Deno.Conn) => {
    open.add(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port: forwarder.to }).catch(() => undefined);
    if (!server) return close(client);
    open.add(server);
    const pipe = (from: Deno.Conn, into: Deno.Conn) =>
      from.readable.pipeTo(into.writable, { preventClose: true }).catch(() => {});
    await Promise.race([pipe(client, server), pipe(server, client)]);
    close(client);
    close(server);
  };
  const serving = (async () => {
    for await (const client of listener) {
      forwarder.accepted++;
      void serve(client).catch(() => {});
    }
  })().catch(() => {});
  return Object.assign(forwarder, {
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const side of open) close(side);
      await serving;
    },
  });
}
