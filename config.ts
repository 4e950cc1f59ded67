/** The settings: one table of all environment variables, which only this file reads. */
import { parseEnvFile } from "./env_file.ts";
import { originOf } from "./webhook_url.ts";
import { AppError, type FieldFault } from "./errors.ts";
import { type Level, levels } from "./log.ts";

interface Setting {
  /** `int`: a whole number; `flag`: true or false; `list`: texts separated by commas. */
  kind: "text" | "int" | "number" | "flag" | "list";
  default: string;
  /** Minimum and maximum of an `int` or `number`. */
  range?: readonly [number, number];
  unit?: string;
  oneOf?: readonly string[];
  /** Keeps the value out of errors and logs. */
  secret?: true;
  help: string;
}

const url = (help: string): Setting & { kind: "text" } => ({ kind: "text", default: "", help });
const count = (defaultValue: number, unit: string, help: string): Setting & { kind: "int" } => ({
  kind: "int",
  default: String(defaultValue),
  range: [1, 10_000],
  unit,
  help,
});
const slots = (defaultValue: number, help: string) => count(defaultValue, "slots", help);
const seconds = (defaultValue: number, help: string): Setting & { kind: "number" } => ({
  kind: "number",
  default: String(defaultValue),
  range: [0.01, 86_400],
  unit: "s",
  help,
});

/**
 * All settings by environment name. A test compares `.env.example` and `docs/settings.md` with this table.
 */
export const settings = {
  DATABASE_URL: { ...url("PostgreSQL: postgres://user:password@host:port/database"), secret: true },
  REDIS_URL: {
    kind: "text",
    default: "redis://127.0.0.1:6379/0",
    secret: true,
    help: "Redis over TCP: redis:// or rediss://",
  },
  UPSTASH_REDIS_REST_URL: url("Redis over HTTP, instead of REDIS_URL"),
  UPSTASH_REDIS_REST_TOKEN: { kind: "text", default: "", secret: true, help: "token for Redis over HTTP" },
  HOST: { kind: "text", default: "0.0.0.0", help: "address the API listens on" },
  PORT: { kind: "int", default: "8000", range: [0, 65_535], help: "port of the API; 0 selects a free port" },
  ADMIN_PORT: {
    kind: "int",
    default: "0",
    range: [0, 65_535],
    help: "private port of /live, /ready and /metrics on 127.0.0.1; 0 disables it",
  },
  SECRET_KEY: {
    kind: "text",
    default: "",
    secret: true,
    help: "key that signs the tokens, 32 bytes or more; the old backend's key keeps its tokens valid",
  },
  SHORT_SECRET_KEY: {
    kind: "text",
    default: "refuse",
    oneOf: ["refuse", "allow"],
    help: "allow accepts an old key shorter than 32 bytes, with a warning at each start",
  },
  ALGORITHM: { kind: "text", default: "HS256", oneOf: ["HS256"], help: "algorithm of the tokens" },
  ACCESS_TOKEN_EXPIRE_MINUTES: {
    kind: "int",
    default: "10080",
    range: [1, 525_600],
    unit: "min",
    help: "lifetime of a token",
  },
  CORS_ORIGINS: {
    kind: "list",
    default: "*",
    help: "origins that browsers may call from, separated by commas",
  },
  TRUSTED_PROXIES: {
    kind: "int",
    default: "0",
    range: [0, 10],
    unit: "proxies",
    help: "number of proxies in front whose X-Forwarded-For is trusted",
  },
  RATE_LIMIT: {
    kind: "int",
    default: "200",
    range: [1, 1_000_000],
    unit: "requests/s",
    help: "v2: request rate of one user at one process; bursts of ten seconds' worth are accepted",
  },
  WEBHOOK_HOSTS: {
    kind: "list",
    default: "",
    help:
      "v2: hosts that webhooks may be sent to, separated by commas; empty disables webhooks; host[:port] allows " +
      "https to public addresses only, http(s)://host[:port] allows any address",
  },
  PUBLIC_TASK_READS: {
    kind: "flag",
    default: "false",
    help: "allows reading task details and matrices without a token",
  },
  LEGACY_API_URL: url(
    "base URL of the old backend, before which the API stands during a migration; empty: it does not",
  ),
  HOLD_MS: {
    kind: "int",
    default: "5000",
    range: [100, 60_000],
    unit: "ms",
    help: "longest wait of a write while the traffic is switched; then it is answered with 503",
  },
  SHADOW_PERCENT: {
    kind: "int",
    default: "10",
    range: [0, 100],
    unit: "%",
    help: "share of the old backend's answers to reads that are compared in phase shadow",
  },
  LOG_LEVEL: { kind: "text", default: "INFO", oneOf: levels, help: "lowest level that is logged" },
  IMAGE_API_URL: url("base URL of the standard image API"),
  LUMINA_API_URL: url("base URL of the lumina image API; defaults to IMAGE_API_URL"),
  NIETA_XTOKEN: { kind: "text", default: "", secret: true, help: "token of the image API" },
  TASK_EXECUTOR_MIN_CONCURRENT: slots(10, "standard queue: initial and minimum slots"),
  TASK_EXECUTOR_MAX_CONCURRENT: slots(50, "standard queue: maximum slots"),
  TASK_EXECUTOR_SCALE_UP_STEP: slots(5, "standard queue: slots added or removed in one step"),
  TASK_EXECUTOR_SCALE_UP_INTERVAL: seconds(60, "standard queue: minimum time between two steps up"),
  TASK_EXECUTOR_SCALE_DOWN_INTERVAL: seconds(180, "standard queue: minimum time between two steps down"),
  LUMINA_EXECUTOR_MIN_CONCURRENT: slots(24, "lumina queue: initial and minimum slots"),
  LUMINA_EXECUTOR_MAX_CONCURRENT: slots(100, "lumina queue: maximum slots"),
  LUMINA_EXECUTOR_SCALE_UP_STEP: slots(1, "lumina queue: slots added or removed in one step"),
  LUMINA_EXECUTOR_SCALE_UP_INTERVAL: seconds(90, "lumina queue: minimum time between two steps up"),
  LUMINA_EXECUTOR_SCALE_DOWN_INTERVAL: seconds(180, "lumina queue: minimum time between two steps down"),
  IMAGE_MAX_POLLING_ATTEMPTS: count(30, "polls", "standard: maximum polls of one job"),
  IMAGE_POLLING_INTERVAL: seconds(2.0, "standard: time between two polls"),
  LUMINA_MAX_POLLING_ATTEMPTS: count(50, "polls", "lumina: maximum polls of one job"),
  LUMINA_POLLING_INTERVAL: seconds(3.0, "lumina: time between two polls"),
  NOTIFY_URLS: {
    kind: "list",
    default: "",
    secret: true,
    help: "URLs that receive notices about a task's start and end, separated by commas",
  },
  MONGODB_URL: {
    kind: "text",
    default: "",
    secret: true,
    help: "URL of the old database, the source of the migration",
  },
  DB_NAME: { kind: "text", default: "", help: "name of the old database" },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

type Value<N extends SettingName> = (typeof settings)[N]["kind"] extends "int" | "number" ? number
  : (typeof settings)[N]["kind"] extends "flag" ? boolean
  : (typeof settings)[N]["kind"] extends "list" ? string[]
  : string;

/** Parsed settings by environment name. LOG_LEVEL is in lower case. */
export type Config = { [N in SettingName]: N extends "LOG_LEVEL" ? Level : Value<N> };

/** The program that reads the settings. Each program has its own required settings. */
export type Program = "api" | "worker" | "migrate";

const required: Record<Program, readonly SettingName[]> = {
  api: ["DATABASE_URL", "SECRET_KEY"],
  worker: ["DATABASE_URL", "IMAGE_API_URL", "NIETA_XTOKEN"],
  migrate: ["DATABASE_URL"],
};

const secretBytesMin = 32;

function parseValue(name: SettingName, text: string): { value: unknown } | { wanted: string } {
  const setting: Setting = settings[name];
  const { kind, range } = setting;
  if (kind === "list") {
    return { value: text.split(",").map((part) => part.trim()).filter((part) => part !== "") };
  }
  if (kind === "flag") {
    const value =
      { true: true, "1": true, yes: true, false: false, "0": false, no: false }[text.toLowerCase()];
    return value === undefined ? { wanted: "true or false" } : { value };
  }
  if (kind === "text") {
    if (!setting.oneOf) return { value: text };
    const value = setting.oneOf.find((known) => known.toLowerCase() === text.toLowerCase());
    return value === undefined ? { wanted: `one of ${setting.oneOf.join(", ")}` } : { value };
  }
  const value = text.trim() === "" ? NaN : Number(text);
  const [min, max] = range ?? [-Infinity, Infinity];
  const isNumber = kind === "int" ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (isNumber && value >= min && value <= max) return { value };
  const noun = kind === "int" ? "a whole number" : "a number";
  return { wanted: `${noun} from ${min} to ${max}${setting.unit ? ` (${setting.unit})` : ""}` };
}

function checkSecret(config: Config): FieldFault[] {
  const bytes = new TextEncoder().encode(config.SECRET_KEY).length;
  if (bytes >= secretBytesMin || config.SHORT_SECRET_KEY === "allow") return [];
  return [{
    field: "SECRET_KEY",
    wanted:
      `${secretBytesMin} bytes or more, it has ${bytes}; to keep an old key whose tokens are still in use, ` +
      "set SHORT_SECRET_KEY=allow",
  }];
}

function checkUrls(config: Config): FieldFault[] {
  const wanted: [SettingName, string[]][] = [
    ["DATABASE_URL", ["postgres:", "postgresql:"]],
    ["REDIS_URL", ["redis:", "rediss:", "valkey:", "valkeys:", "unix:"]],
    ["UPSTASH_REDIS_REST_URL", ["http:", "https:"]],
    ["IMAGE_API_URL", ["http:", "https:"]],
    ["LUMINA_API_URL", ["http:", "https:"]],
  ];
  return wanted.flatMap(([name, schemes]) => {
    const text = String(config[name]);
    if (text === "") return [];
    // Connection URLs of PostgreSQL and Unix sockets of Redis need not be URLs by the web's standard.
    const isUrl = URL.canParse(text) || name === "DATABASE_URL" || /^unix:/i.test(text);
    const scheme = isUrl ? text.slice(0, text.indexOf(":") + 1).toLowerCase() : "";
    return schemes.includes(scheme)
      ? []
      : [{ field: name, wanted: `a URL that starts with ${schemes.join(" or ")}//` }];
  });
}

function checkWebhookHosts({ WEBHOOK_HOSTS }: Config): FieldFault[] {
  return WEBHOOK_HOSTS.filter((entry) => originOf(entry) === undefined)
    .map((value) => ({ field: "WEBHOOK_HOSTS", value, wanted: "host[:port] or http(s)://host[:port]" }));
}

/**
 * Parses the settings in `env`. Ignores unknown names. An empty value counts as unset.
 *
 * @throws AppError invalid_config with one field for each fault
 *
 * @example
 * ```ts
 * import { parseConfig } from "./config.ts";
 * const config = parseConfig({ DATABASE_URL: "postgres://u:p@localhost/db" }, "migrate");
 * if (config.PORT !== 8000) throw new Error("the default is 8000");
 * ```
 */
export function parseConfig(env: Record<string, string | undefined>, program: Program): Config {
  const faults: FieldFault[] = [];
  const config: Record<string, unknown> = {};
  for (const name of Object.keys(settings) as SettingName[]) {
    const setting: Setting = settings[name];
    const given = env[name] ?? "";
    const parsed = parseValue(name, given === "" ? setting.default : given);
    if ("value" in parsed) config[name] = parsed.value;
    else faults.push({ field: name, ...(setting.secret ? {} : { value: given }), wanted: parsed.wanted });
    if (given === "" && setting.default === "" && required[program].includes(name)) {
      faults.push({ field: name, wanted: `to be set: ${setting.help}` });
    }
  }
  const parsed = config as Config;
  const unset = new Set(faults.map(({ field }) => field));
  if (program === "api" && !unset.has("SECRET_KEY")) faults.push(...checkSecret(parsed));
  faults.push(...checkUrls(parsed), ...checkWebhookHosts(parsed));
  if (faults.length > 0) {
    throw new AppError("invalid_config", "reading the settings: some values are invalid", { fields: faults });
  }
  config.LOG_LEVEL = parsed.LOG_LEVEL.toLowerCase();
  if (parsed.LUMINA_API_URL === "") config.LUMINA_API_URL = parsed.IMAGE_API_URL;
  return parsed;
}

/** Returns the text of `.env` in the working folder, or an empty text if there is none. */
function readEnvFile(): string {
  try {
    return Deno.readTextFileSync(".env");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw new AppError("invalid_config", `reading '.env': ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Reads the settings of this process: its environment, and for names that are not set there, `.env` in the working
 * folder.
 *
 * @throws AppError invalid_config that names each line of `.env` that cannot be read
 */
export function readEnvironment(): Record<string, string | undefined> {
  const names = Object.keys(settings);
  const environment = Object.fromEntries(names.map((name) => [name, Deno.env.get(name)]));
  const file = parseEnvFile(readEnvFile(), environment);
  return Object.fromEntries(names.map((name) => [name, environment[name] ?? file[name]]));
}

/** libpq's environment variables, which complete a connection URL. */
const libpqNames = ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT"];

/** Returns libpq's environment variables of this process. */
export const readLibpqEnvironment = (): Record<string, string | undefined> =>
  Object.fromEntries(libpqNames.map((name) => [name, Deno.env.get(name)]));
