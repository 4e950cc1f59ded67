/** The log: JSON lines on stderr. */

export const levels = ["debug", "info", "warning", "error", "critical"] as const;
export type Level = (typeof levels)[number];
export type Fields = Record<string, string | number | boolean | null | undefined>;

export interface Log {
  debug(msg: string, fields?: Fields): void;
  info(msg: string, fields?: Fields): void;
  warn(msg: string, fields?: Fields): void;
  error(msg: string, fields?: Fields, cause?: unknown): void;
}

const encoder = new TextEncoder();

function writeStderr(line: string): void {
  Deno.stderr.writeSync(encoder.encode(line + "\n"));
}

/**
 * Creates a log that drops entries below `level`. Never log a token, a password, a prompt or a body.
 *
 * @param write receives each finished line; writes to stderr by default
 */
export function createLog(level: Level, write: (line: string) => void = writeStderr): Log {
  const lowest = levels.indexOf(level);
  const emit = (at: Level, msg: string, fields: Fields = {}) => {
    if (levels.indexOf(at) < lowest) return;
    write(JSON.stringify({ time: new Date().toISOString(), level: at, msg, ...fields }));
  };
  return {
    debug: (msg, fields) => emit("debug", msg, fields),
    info: (msg, fields) => emit("info", msg, fields),
    warn: (msg, fields) => emit("warning", msg, fields),
    error: (msg, fields, cause) =>
      emit("error", msg, {
        ...fields,
        ...(cause === undefined
          ? {}
          : { cause: cause instanceof Error ? cause.stack ?? cause.message : String(cause) }),
      }),
  };
}

/** A log that drops everything. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
