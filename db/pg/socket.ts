/** Sockets to PostgreSQL that send small packets immediately and close when the server stays silent. */
import { createConnection, Socket } from "node:net";

/** The address that the driver connects to. */
export interface SocketAddress {
  host: string[];
  port: number[];
  path?: string | false;
}

const connectTimeoutMs = 5000;

const failure = (code: string, message: string) => Object.assign(new Error(message), { code });

/**
 * Opens a connected socket for the driver.
 *
 * @param silentMsMax maximum milliseconds between a write and the next byte received; then the socket is
 * closed
 */
export async function openSocket({ host, port, path }: SocketAddress, silentMsMax?: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = createConnection(path ? { path } : { host: host[0]!, port: port[0]!, noDelay: true });
  const timer = setTimeout(() => {
    reject(failure("CONNECT_TIMEOUT", "connecting took too long"));
    socket.destroy();
  }, connectTimeoutMs);
  socket.once("error", reject);
  socket.once("connect", () => resolve(socket));
  try {
    await promise;
  } catch (error) {
    return openFailing(error as Error);
  } finally {
    clearTimeout(timer);
    socket.off("error", reject);
  }
  reportCloseAsError(socket);
  if (silentMsMax !== undefined) closeWhenSilent(socket, silentMsMax);
  return socket;
}

/** Delay between `error` and `close`, in which the end of a transaction is still sent. */
const closeMs = 2;

/**
 * Makes the socket emit `error` first and, after `closeMs`, `close` without an error. The driver rejects
 * statements sent in between, such as the rollback of a transaction that has just lost its connection. Sent
 * after the close, such a statement would end the process.
 */
function reportCloseAsError(socket: Socket): void {
  const emit = socket.emit.bind(socket) as (...args: unknown[]) => boolean;
  let closing = false;
  socket.emit = ((...args: unknown[]) => {
    if (args[0] !== "close") return emit(...args);
    if (closing) return false;
    closing = true;
    emit("error", failure("CONNECTION_CLOSED", "the connection to PostgreSQL ended"));
    setTimeout(() => emit("close", false), closeMs);
    return true;
  }) as Socket["emit"];
}

/**
 * Returns a socket that fails after the driver has received it. The driver forgets a connection without a
 * socket.
 */
function openFailing(error: Error): Socket {
  const socket = new Socket();
  // The driver's first write would otherwise fail with another error.
  socket.write = () => true;
  setTimeout(() => socket.destroy(error), 0);
  return socket;
}

/** Closes a socket if no byte arrives within `ms` after a write. */
function closeWhenSilent(socket: Socket, ms: number): void {
  // Time of the first write since bytes were last received, and the number of bytes received by then.
  let unanswered: { since: number; bytes: number } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const check = () => {
    timer = undefined;
    if (unanswered === undefined || socket.bytesRead !== unanswered.bytes) {
      unanswered = undefined;
      return;
    }
    const left = unanswered.since + ms - performance.now();
    if (left > 0) timer = setTimeout(check, left);
    else socket.destroy();
  };
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((...args: unknown[]) => {
    if (unanswered?.bytes !== socket.bytesRead) {
      unanswered = { since: performance.now(), bytes: socket.bytesRead };
    }
    timer ??= setTimeout(check, ms);
    return write(...args);
  }) as Socket["write"];
  socket.once("close", () => clearTimeout(timer));
}
