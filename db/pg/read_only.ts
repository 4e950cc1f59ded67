/**
 * Notices that a server has become read-only while its connections stay open, as after a failover that moves the
 * address to another server.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";

/** Field C (code) of an ErrorResponse: read_only_sql_transaction. Text columns cannot hold NUL, so data never matches. */
const readOnlyError = Buffer.from("\0C25006\0");
/** ParameterStatus messages, which the server sends when a parameter changes (PostgreSQL 14). */
const readOnlyStatuses = ["default_transaction_read_only\0on\0", "in_hot_standby\0on\0"].map((text) =>
  Buffer.from(text)
);
/** ReadyForQuery without an open transaction. */
const readyIdle = Buffer.from("Z\0\0\0\x05I");
/** Messages in larger chunks are rows of an answer, which are not searched. */
const chunkBytesMax = 64 * 1024;

interface Watched {
  socket: Socket;
  /** Whether the connection has completed its start: earlier statuses describe the server as it was found. */
  isStarted: boolean;
  isIdle: boolean;
}

function showsReadOnly(chunk: Buffer, { isStarted }: Watched): boolean {
  if (chunk.length > chunkBytesMax) return false;
  return chunk.includes(readOnlyError) || isStarted && readOnlyStatuses.some((text) => chunk.includes(text));
}

/**
 * Returns a function that watches a socket. When one of its sockets shows that the server is read-only, each closes as
 * soon as it is idle.
 */
export function watchReadOnly(): (socket: Socket) => void {
  const all = new Set<Watched>();
  const condemned = new WeakSet<Watched>();
  const closeIfIdle = (watched: Watched) => {
    if (condemned.has(watched) && watched.isIdle) watched.socket.destroy();
  };
  return (socket) => {
    const watched: Watched = { socket, isStarted: false, isIdle: false };
    all.add(watched);
    socket.once("close", () => all.delete(watched));
    socket.on("data", (bytes: Uint8Array) => {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (showsReadOnly(chunk, watched)) { for (const each of all) condemned.add(each); }
      watched.isIdle = chunk.length >= readyIdle.length &&
        chunk.subarray(-readyIdle.length).equals(readyIdle);
      watched.isStarted ||= watched.isIdle;
      // The driver reads the chunk after this listener.
      if (condemned.has(watched)) setTimeout(() => all.forEach(closeIfIdle), 0);
    });
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    socket.write = ((...args: unknown[]) => {
      watched.isIdle = false;
      return write(...args);
    }) as Socket["write"];
  };
}
