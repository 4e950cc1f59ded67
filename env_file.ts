/**
 * Parses `.env` files by python-dotenv's grammar, which the old backend used; Docker Compose reads the common forms
 * alike. Pure.
 */
import { AppError } from "./errors.ts";

/** Escapes inside double quotes; any other backslash stays. */
const doubleQuoteEscapes: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

class Reader {
  #at = 0;
  constructor(readonly text: string) {}

  get isAtEnd(): boolean {
    return this.#at >= this.text.length;
  }

  get next(): string {
    return this.text.charAt(this.#at);
  }

  /** Number of the current line, from 1. */
  get line(): number {
    return this.text.slice(0, this.#at).split(/\r\n|\n|\r/).length;
  }

  /** Consumes what a sticky pattern matches here; undefined if it does not match. */
  read(pattern: RegExp): string | undefined {
    const sticky = new RegExp(pattern.source, "y");
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.text);
    if (!match) return undefined;
    this.#at = sticky.lastIndex;
    return match[1] ?? match[0];
  }
}

function readKey(reader: Reader): string | undefined {
  return reader.next === "'" ? reader.read(/'([^']+)'/) : reader.read(/([^=#\s]+)/);
}

/** Reads a value; undefined if a quote is not closed. A `#` directly after `=` belongs to the value. */
function readValue(reader: Reader, hasSpaceBefore: boolean): string | undefined {
  if (reader.next === "'") return reader.read(/'((?:\\[^]|[^'\\])*)'/)?.replace(/\\([\\'])/g, "$1");
  if (reader.next === '"') {
    return reader.read(/"((?:\\[^]|[^"\\])*)"/)?.replace(
      /\\([\\'"abfnrtv])/g,
      (_, letter: string) => doubleQuoteEscapes[letter]!,
    );
  }
  if (hasSpaceBefore && reader.next === "#") return "";
  return reader.read(/([^\r\n]*)/)!.replace(/\s+#.*$/, "").trimEnd();
}

/** Replaces `${NAME}` and `${NAME:-default}`; an unknown name without a default becomes empty. */
function expand(value: string, find: (name: string) => string | undefined): string {
  return value.replace(
    /\$\{([^}:]*)(?::-([^}]*))?\}/g,
    (_, name: string, standard: string | undefined) => find(name) ?? standard ?? "",
  );
}

/**
 * Parses the text of a `.env` file.
 *
 * Reads `NAME=value` with optional `export`, single and double quotes, values over several lines in quotes, comments,
 * LF, CRLF and a byte order mark. `${NAME}` refers to `environment` first, then to earlier lines. A name without `=` sets
 * nothing.
 *
 * @param environment values that win over the file; `${NAME}` refers to them
 * @throws AppError invalid_config with one field for each line that cannot be read; values are not shown
 *
 * @example
 * ```ts
 * import { parseEnvFile } from "./env_file.ts";
 * const values = parseEnvFile('export A="1 # one"\r\nB=${A}2 # two\r\n', {});
 * if (values.A !== "1 # one" || values.B !== "1 # one2") throw new Error(JSON.stringify(values));
 * ```
 */
export function parseEnvFile(
  text: string,
  environment: Record<string, string | undefined>,
): Record<string, string> {
  const reader = new Reader(text.replace(/^\ufeff/, ""));
  const values: Record<string, string> = {};
  const badLines: number[] = [];
  const find = (name: string) => environment[name] ?? values[name];
  for (;;) {
    reader.read(/\s*/);
    if (reader.isAtEnd) break;
    const { line } = reader;
    let value: string | undefined;
    let isRead = true;
    let key: string | undefined;
    if (reader.next !== "#") {
      reader.read(/(?:export[^\S\r\n]+)?/);
      key = readKey(reader);
      reader.read(/[^\S\r\n]*/);
      const equals = reader.read(/=[^\S\r\n]*/);
      const hasValue = equals !== undefined;
      if (hasValue) value = readValue(reader, equals.length > 1);
      isRead = key !== undefined && (!hasValue || value !== undefined);
    }
    reader.read(/(?:[^\S\r\n]*#[^\r\n]*)?/);
    if (!isRead || reader.read(/[^\S\r\n]*(?:\r\n|\n|\r|$)/) === undefined) {
      badLines.push(line);
      reader.read(/[^\r\n]*(?:\r\n|\n|\r)?/);
    } else if (key !== undefined && value !== undefined) values[key] = expand(value, find);
  }
  if (badLines.length > 0) {
    throw new AppError("invalid_config", "reading '.env': some lines cannot be read", {
      fields: badLines.map((line) => ({
        field: `.env line ${line}`,
        wanted: "NAME=value, with both quotes where a value is quoted, or a comment that starts with #",
      })),
    });
  }
  return values;
}
