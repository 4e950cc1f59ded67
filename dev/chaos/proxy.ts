/** A TCP proxy that can fall silent: what a network does between a worker and a server. */

/**
 * - `pass`: bytes go on as they come
 * - `hold`: nothing goes on either way; connections stay open, new ones get no answer
 * - `mute`: what the client says arrives, what the server answers does not
 * - `slow`: each piece waits
 * - `refuse`: new connections are closed at once
 */
export type ProxyMode = "pass" | "hold" | "mute" | "slow" | "refuse";

export interface Proxy extends AsyncDisposable {
  port: number;
  set(mode: ProxyMode): void;
  /** Closes every connection that is open now. */
  cut(): void;
  /** Connections that are open now never carry another byte and are never closed; new ones are well. */
  orphan(): void;
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
        // The other direction closed it.
      }
    }
  }
}

const never = new Promise<never>(() => {});

class SilentProxy implements Proxy {
  readonly #listener: Deno.TcpListener;
  readonly #to: number;
  readonly #links = new Set<Link>();
  #mode: ProxyMode = "pass";
  #stopped = false;
  #changed = Promise.withResolvers<void>();

  constructor(to: number) {
    this.#to = to;
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
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#to });
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

  async #pump(link: Link, from: Deno.TcpConn, to: Deno.TcpConn, way: "up" | "down"): Promise<void> {
    const piece = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await from.read(piece);
        while (this.#mode === "hold" && !link.orphaned) await this.#changed.promise;
        if (link.orphaned) {
          // A peer that went without a word: whoever is left hears nothing, not even an end.
          if (way === "down" || count === null) await never;
          continue;
        }
        if (count === null) return;
        if (this.#mode === "mute" && way === "down") continue;
        if (this.#mode === "slow") await new Promise((resolve) => setTimeout(resolve, slowMs));
        let rest = piece.subarray(0, count);
        while (rest.length > 0) rest = rest.subarray(await to.write(rest));
      }
    } catch {
      // One side is gone: the link ends.
    }
  }
}

/** Opens a proxy on a free port of loopback to another port there. */
export function startProxy(to: number): Proxy {
  return new SilentProxy(to);
}
