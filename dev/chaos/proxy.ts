/** A TCP proxy that simulates network faults between a client and a server. */

/**
 * Behaviour of a proxy.
 *
 * - `pass`: forwards bytes in both directions
 * - `hold`: forwards nothing; connections stay open, and new ones get no answer
 * - `mute`: forwards what the client sends and drops what the server answers
 * - `slow`: delays each chunk by 120 ms
 * - `refuse`: closes new connections at once
 */
export type ProxyMode = "pass" | "hold" | "mute" | "slow" | "refuse";

/** A running proxy. */
export interface Proxy extends AsyncDisposable {
  port: number;
  /** Port of the server to which new connections go. Open connections stay where they are. */
  to: number;
  /** Changes the mode of all connections. */
  set(mode: ProxyMode): void;
  /** Closes every open connection. */
  cut(): void;
  /** Makes every open connection silent for good without closing it. New connections work. */
  orphan(): void;
  /** Stops listening and closes all connections. */
  stop(): void;
}

const slowMs = 120;

class Link {
  orphaned = false;
  constructor(readonly client: Deno.TcpConn, readonly server: Deno.TcpConn) {}

  close(): void {
    for (const side of [this.client, this.server]) {
      try {
        side.close();
      } catch {
        // The other direction has already closed it.
      }
    }
  }
}

const never = new Promise<never>(() => {});

class TcpProxy implements Proxy {
  readonly #listener: Deno.TcpListener;
  to: number;
  readonly #links = new Set<Link>();
  #mode: ProxyMode = "pass";
  #stopped = false;
  #changed = Promise.withResolvers<void>();

  constructor(to: number) {
    this.to = to;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    void this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  set(mode: ProxyMode): void {
    this.#mode = mode;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  cut(): void {
    for (const link of this.#links) if (!link.orphaned) link.close();
  }

  orphan(): void {
    for (const link of this.#links) link.orphaned = true;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listener.close();
    this.set("pass");
    for (const link of this.#links) link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    return Promise.resolve();
  }

  async #accept(): Promise<void> {
    for (;;) {
      let client: Deno.TcpConn;
      try {
        client = await this.#listener.accept();
      } catch {
        return;
      }
      if (this.#mode === "refuse" || this.#stopped) client.close();
      else void this.#serve(client);
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.to });
    } catch {
      client.close();
      return;
    }
    for (const side of [client, server]) side.setNoDelay(true);
    const link = new Link(client, server);
    this.#links.add(link);
    await Promise.race([this.#pump(link, client, server, "up"), this.#pump(link, server, client, "down")]);
    link.close();
    this.#links.delete(link);
  }

  async #pump(link: Link, from: Deno.TcpConn, to: Deno.TcpConn, direction: "up" | "down"): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await from.read(buffer);
        while (this.#mode === "hold" && !link.orphaned) await this.#changed.promise;
        if (link.orphaned) {
          // The peer vanished without closing: the other side receives nothing, not even the end of the stream.
          if (direction === "down" || count === null) await never;
          continue;
        }
        if (count === null) return;
        if (this.#mode === "mute" && direction === "down") continue;
        if (this.#mode === "slow") await new Promise((resolve) => setTimeout(resolve, slowMs));
        let rest = buffer.subarray(0, count);
        while (rest.length > 0) rest = rest.subarray(await to.write(rest));
      }
    } catch {
      // One side is closed: the link ends.
    }
  }
}

/** Starts a proxy from a free loopback port to the loopback port `to`. */
export function startProxy(to: number): Proxy {
  return new TcpProxy(to);
}
