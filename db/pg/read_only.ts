/**
 * Notices that a server has become read-only while its connections stay open, as after a failover that moves the
 * address to another server.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";

/** Types of the messages whose content is read. */
const types = { error: 0x45, parameterStatus: 0x53, readyForQuery: 0x5a } as const;
/** Bytes of a message's header: its type, and its length without the type. */
const headerBytes = 5;
/** Field C (code) of an ErrorResponse: read_only_sql_transaction. */
const readOnlyError = "\0C25006\0";
/** ParameterStatus messages, which the server sends when a parameter changes (PostgreSQL 14). */
const readOnlyStatuses = new Set(["default_transaction_read_only\0on\0", "in_hot_standby\0on\0"]);
const nothing = Buffer.alloc(0);
/** Status of a ReadyForQuery without an open transaction. */
const idle = "I";

/**
 * Reads the messages of a server (https://www.postgresql.org/docs/current/protocol-message-formats.html) from the chunks
 * in which they arrive. It goes from header to header: to search the content of all rows would take a third of the time of a
 * large answer.
 */
export class ServerMessages {
  /** Bytes of the next chunk that belong to the last message. */
  #skip = 0;
  /** An incomplete header, or an incomplete message whose content is read. */
  #kept = nothing;
  /** Whether the connection has completed its start: earlier statuses describe the server as it was found. */
  #isStarted = false;
  #isIdle = false;

  /** Whether the last chunk ended with the end of an answer outside of a transaction. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  /**
   * Reads a chunk, which may begin and end within a message.
   *
   * @returns whether a message that ends in this chunk shows that the server is read-only
   */
  showsReadOnly(chunk: Buffer): boolean {
    const bytes = this.#kept.length > 0 ? Buffer.concat([this.#kept, chunk]) : chunk;
    this.#isIdle = false;
    let isReadOnly = false;
    let at = this.#skip;
    while (at + headerBytes <= bytes.length) {
      const type = bytes[at]!;
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (type === types.error || type === types.parameterStatus || type === types.readyForQuery) {
        if (end > bytes.length) break;
        if (this.#read(type, bytes.toString("latin1", at + headerBytes, end))) isReadOnly = true;
        this.#isIdle &&= end === bytes.length;
      }
      at = end;
    }
    this.#skip = Math.max(0, at - bytes.length);
    this.#kept = at < bytes.length ? Buffer.from(bytes.subarray(at)) : nothing;
    return isReadOnly;
  }

  /** Reads a message. @returns whether it shows that the server is read-only */
  #read(type: number, content: string): boolean {
    if (type === types.error) return content.includes(readOnlyError);
    if (type === types.parameterStatus) return this.#isStarted && readOnlyStatuses.has(content);
    this.#isIdle = content === idle;
    this.#isStarted ||= this.#isIdle;
    return false;
  }
}

interface Watched {
  socket: Socket;
  /** Whether every statement so far has been answered, and no transaction is open. */
  isIdle: boolean;
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
    const messages = new ServerMessages();
    const watched: Watched = { socket, isIdle: false };
    all.add(watched);
    socket.once("close", () => all.delete(watched));
    socket.on("data", (bytes: Uint8Array) => {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (messages.showsReadOnly(chunk)) { for (const each of all) condemned.add(each); }
      watched.isIdle = messages.isIdle;
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
