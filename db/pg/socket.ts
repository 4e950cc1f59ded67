/**
 * Sockets to PostgreSQL. They try the hosts of the connection URL in order, encrypt, send small packets immediately,
 * close when the server stays silent, and close when the server has become read-only.
 */
import { createConnection, Socket } from "node:net";
import type { TlsMode } from "./connection_parameters.ts";
import type { DatabaseHost, DatabaseUrl } from "./connection_url.ts";
import type { Choice } from "./hosts.ts";
import { watchReadOnly } from "./read_only.ts";
import { startTls, type TlsFiles } from "./tls.ts";

const failure = (code: string, message: string) => Object.assign(new Error(message), { code });

/** Options of {@link createSocketOpener}. */
export interface SocketOptions {
  url: DatabaseUrl;
  files: TlsFiles;
  /** Maximum milliseconds between a write and the next byte received; then the socket is closed. */
  silentMsMax?: number | undefined;
  /** Resolves to the host to try first, and whether to encrypt. */
  chooseHost: () => Promise<Choice>;
}

/** Connects to one host. Names are resolved anew each time, so that a moved address is found. */
async function openHost(host: DatabaseHost, timeoutMs: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = createConnection("path" in host ? host : { ...host, noDelay: true });
  const timer = setTimeout(() => {
    reject(failure("CONNECT_TIMEOUT", "connecting took too long"));
    socket.destroy();
  }, timeoutMs);
  socket.once("error", reject);
  socket.once("connect", () => resolve(socket));
  return await promise.finally(() => {
    clearTimeout(timer);
    socket.off("error", reject);
  });
}

async function openSecured(
  host: DatabaseHost,
  mode: TlsMode,
  { url, files }: SocketOptions,
): Promise<Socket> {
  const socket = await openHost(host, url.connectTimeoutMs);
  // libpq never encrypts Unix sockets.
  if ("path" in host || mode === "disable") return socket;
  const timer = setTimeout(
    () => socket.destroy(failure("CONNECT_TIMEOUT", "negotiating TLS took too long")),
    url.connectTimeoutMs,
  );
  try {
    return await startTls(socket, host.host, { ...url.tls, mode }, files);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Returns a function that opens connected sockets for the driver.
 *
 * All its sockets belong together: when one shows that the server has become read-only, the others close as soon as
 * they are idle, so that the next statements find the new primary.
 */
export function createSocketOpener(options: SocketOptions): () => Promise<Socket> {
  const { url: { hosts }, silentMsMax, chooseHost } = options;
  const watch = watchReadOnly();

  async function openFirst(): Promise<Socket> {
    const { position, mode } = await chooseHost();
    let failed: unknown;
    for (let i = 0; i < hosts.length; i++) {
      try {
        return await openSecured(hosts[(position + i) % hosts.length]!, mode, options);
      } catch (error) {
        failed ??= error;
      }
    }
    throw failed;
  }

  return async () => {
    try {
      const socket = await openFirst();
      reportCloseAsError(socket);
      watch(socket);
      if (silentMsMax !== undefined) closeWhenSilent(socket, silentMsMax);
      return socket;
    } catch (error) {
      return openFailing(error as Error);
    }
  };
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
