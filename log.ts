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

/** Receives each finished line. An urgent one must be written before the call returns. */
export type WriteLine = (line: string, isUrgent: boolean) => void;

const encoder = new TextEncoder();

/** Maximum wait in milliseconds of a line that is not urgent, and maximum length of the waiting lines. */
const gatherMs = 20;
const gatheredMax = 65_536;

/**
 * Creates a writer of stderr that gathers lines: a write for each request would cost more than making its line. Only
 * SIGKILL loses lines, those of the last 20 ms.
 */
function createStderrWriter(): WriteLine {
  let waiting = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    let bytes = encoder.encode(waiting);
    waiting = "";
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
  };
  for (const end of ["unload", "error", "unhandledrejection"]) addEventListener(end, flush);
  return (line, isUrgent) => {
    waiting += line + "\n";
    if (isUrgent || waiting.length > gatheredMax) return flush();
    if (timer !== undefined) return;
    timer = setTimeout(flush, gatherMs);
    Deno.unrefTimer(timer);
  };
}

/**
 * Creates a log that drops entries below `level`. Never log a token, a password, a prompt or a body.
 *
 * @param write writes to stderr by default
 */
export function createLog(level: Level, write: WriteLine = createStderrWriter()): Log {
  const lowest = levels.indexOf(level);
  const urgent = levels.indexOf("warning");
  const emit = (at: Level, msg: string, fields: Fields = {}) => {
    const rank = levels.indexOf(at);
    if (rank < lowest) return;
    const line = JSON.stringify({ time: new Date().toISOString(), level: at, msg, ...fields });
    write(line, rank >= urgent);
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
