/** Connects to one of several addresses of a host, which the caller has checked. It resolves no name. */
import { counted } from "../../phrases.ts";

export interface Dial {
  /** IP addresses, in order of preference. */
  addresses: string[];
  port: number;
  /** Set for TLS. The certificate must be valid for `hostname`. */
  tls?: { hostname: string; caCerts: string[] };
  signal: AbortSignal;
}

/** No address accepted a connection. The message tells why. */
export class UnreachableError extends Error {}

/** Wait for an address that stays silent, before the next one is tried beside it (RFC 8305). */
const staggerMs = 250;

async function secureConn(
  plain: Deno.TcpConn,
  { hostname, caCerts }: NonNullable<Dial["tls"]>,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  using stack = new DisposableStack();
  const conn = await Deno.startTls(plain, { hostname, caCerts, alpnProtocols: ["http/1.1"] });
  const stop = () => conn.close();
  signal.addEventListener("abort", stop, { once: true });
  stack.defer(() => signal.removeEventListener("abort", stop));
  try {
    signal.throwIfAborted();
    await conn.handshake();
    return conn;
  } catch (error) {
    if (!signal.aborted) conn.close();
    throw error;
  }
}

async function dialAddress({ port, tls }: Dial, address: string, signal: AbortSignal): Promise<Deno.Conn> {
  const plain = await Deno.connect({ hostname: address, port, signal });
  return tls === undefined ? plain : await secureConn(plain, tls, signal);
}

/**
 * Tries the addresses in turn: the next one once the one before has failed, or beside it once that has stayed
 * silent for `staggerMs`. The first connection wins, after its TLS handshake; all others are closed.
 *
 * @throws UnreachableError also after an abort
 */
export async function dialFirst(dial: Dial): Promise<Deno.Conn> {
  const { addresses, signal } = dial;
  const race = new AbortController();
  const { promise: raceEnded, resolve: endRace } = Promise.withResolvers<void>();
  race.signal.addEventListener("abort", () => endRace());
  const stop = () => race.abort();
  signal.addEventListener("abort", stop, { once: true });
  let winner: Deno.Conn | undefined;
  const failures = new Set<string>();
  const attempts: Promise<void>[] = [];
  const start = async (address: string) => {
    try {
      const conn = await dialAddress(dial, address, race.signal);
      if (race.signal.aborted) return conn.close();
      winner = conn;
      race.abort();
    } catch (error) {
      failures.add((error as Error).name);
    }
  };
  for (const address of addresses) {
    if (race.signal.aborted || signal.aborted) break;
    const attempt = start(address);
    attempts.push(attempt);
    const { promise: silent, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, staggerMs);
    await Promise.race([attempt, silent, raceEnded]);
    clearTimeout(timer);
  }
  // All attempts end: by a failure, as the winner, or by the abort that a winner or the caller causes.
  await Promise.all(attempts);
  signal.removeEventListener("abort", stop);
  if (winner !== undefined && !signal.aborted) return winner;
  winner?.close();
  const where = addresses.length === 1
    ? "unreachable"
    : `unreachable at ${counted(addresses.length, "address", "addresses")}`;
  throw new UnreachableError(`${where}: ${[...failures].join(", ")}`);
}
