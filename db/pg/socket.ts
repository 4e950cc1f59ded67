/** Sockets to PostgreSQL: small packets leave at once, and one that a peer left without a word is given up. */
import { createConnection, Socket } from "node:net";

/** Where the driver wants to go. */
export interface SocketPlace {
  host: string[];
  port: number[];
  path?: string | false;
}

const connectTimeoutMs = 5000;

const failure = (code: string, message: string) => Object.assign(new Error(message), { code });

/**
 * Opens a connected socket for the driver.
 *
 * @param silentMsMax what was written must be answered, if only in part, within this; else it is closed
 */
export async function openSocket({ host, port, path }: SocketPlace, silentMsMax?: number): Promise<Socket> {
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
  closePlainly(socket);
  if (silentMsMax !== undefined) watch(socket, silentMsMax);
  return socket;
}

/** For what follows from a failure at once: the end of a transaction is still sent. */
const closeMs = 2;

/**
 * The driver is told of an end in two steps, first that it failed, then that it is closed, plainly. A statement sent
 * in between is rejected only where the close is not the end of an error; and one sent after the close, such as the
 * rollback of a transaction that just lost its connection, would end the process.
 */
function closePlainly(socket: Socket): void {
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

/** The driver forgets a connection whose socket it never got: it is given one that fails under its eyes. */
function openFailing(error: Error): Socket {
  const socket = new Socket();
  // What the driver says first would fail in words of its own.
  socket.write = () => true;
  setTimeout(() => socket.destroy(error), 0);
  return socket;
}

/** Closes a socket on which nothing came for `ms` after something was written. */
function watch(socket: Socket, ms: number): void {
  // The first write since the latest bytes came, and how many had come by then.
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
