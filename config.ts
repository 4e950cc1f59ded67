/** The only reader of the environment: one table of settings, all faults reported at once. */
import { AppError, type FieldFault } from "./errors.ts";
import { type Level, levels } from "./log.ts";

interface Setting {
  /** text, int (whole number), number, flag (true or false), list (joined by commas) */
  kind: "text" | "int" | "number" | "flag" | "list";
  default: string;
  /** Least and most, for int and number. */
  range?: readonly [number, number];
  unit?: string;
  oneOf?: readonly string[];
  /** Never shown: not in an error, not in a log. */
  secret?: true;
  help: string;
}

const url = (help: string): Setting & { kind: "text" } => ({ kind: "text", default: "", help });
const slots = (standard: number, help: string): Setting & { kind: "int" } => ({
  kind: "int",
  default: String(standard),
  range: [1, 10_000],
  unit: "slots",
  help,
});
const seconds = (standard: number, help: string): Setting & { kind: "number" } => ({
  kind: "number",
  default: String(standard),
  range: [0.01, 86_400],
  unit: "s",
  help,
});

/** Every setting by its environment name; `.env.example` and the README's table are tested against this. */
export const settings = {
  DATABASE_URL: { ...url("PostgreSQL: postgres://user:password@host:port/database"), secret: true },
  REDIS_URL: {
    kind: "text",
    default: "redis://127.0.0.1:6379/0",
    secret: true,
    help: "Redis over TCP: redis:// or rediss://",
  },
  UPSTASH_REDIS_REST_URL: url("Redis over HTTP, instead of REDIS_URL"),
  UPSTASH_REDIS_REST_TOKEN: { kind: "text", default: "", secret: true, help: "token of the HTTP Redis" },
  HOST: { kind: "text", default: "0.0.0.0", help: "address the API listens on" },
  PORT: { kind: "int", default: "8000", range: [0, 65_535], help: "port of the API; 0 takes a free one" },
  ADMIN_PORT: {
    kind: "int",
    default: "0",
    range: [0, 65_535],
    help: "private port of /live, /ready and /metrics on 127.0.0.1; 0 opens none",
  },
  SECRET_KEY: {
    kind: "text",
    default: "",
    secret: true,
    help: "signs the tokens, 32 bytes or more; the old backend's key keeps its tokens valid",
  },
  SHORT_SECRET_KEY: {
    kind: "text",
    default: "refuse",
    oneOf: ["refuse", "allow"],
    help: "allow lets in an old key under 32 bytes, with a warning at each start",
  },
  ALGORITHM: { kind: "text", default: "HS256", oneOf: ["HS256"], help: "of the tokens" },
  ACCESS_TOKEN_EXPIRE_MINUTES: {
    kind: "int",
    default: "10080",
    range: [1, 525_600],
    unit: "min",
    help: "life of a token",
  },
  CORS_ORIGINS: { kind: "list", default: "*", help: "origins allowed to call, joined by commas" },
  TRUSTED_PROXIES: {
    kind: "int",
    default: "0",
    range: [0, 10],
    unit: "proxies",
    help: "proxies in front whose X-Forwarded-For is believed",
  },
  RATE_LIMIT: {
    kind: "int",
    default: "200",
    range: [1, 1_000_000],
    unit: "requests/s",
    help: "v2: what one user may ask of a process, ten seconds' worth at once",
  },
  WEBHOOK_HOSTS: {
    kind: "list",
    default: "",
    help:
      "v2: where webhooks may go, joined by commas, nowhere without it: host[:port] by https and never into a " +
      "private network, http(s)://host[:port] wherever it is",
  },
  PUBLIC_TASK_READS: { kind: "flag", default: "false", help: "task detail and matrix without a token" },
  LOG_LEVEL: { kind: "text", default: "INFO", oneOf: levels, help: "least level that is logged" },
  IMAGE_API_URL: url("base URL of the standard image API"),
  LUMINA_API_URL: url("base URL of the lumina image API; IMAGE_API_URL unless set"),
  NIETA_XTOKEN: { kind: "text", default: "", secret: true, help: "token of the image API" },
  TASK_EXECUTOR_MIN_CONCURRENT: slots(10, "standard queue: slots at first"),
  TASK_EXECUTOR_MAX_CONCURRENT: slots(50, "standard queue: slots at most"),
  TASK_EXECUTOR_SCALE_UP_STEP: slots(5, "standard queue: slots added at a time"),
  TASK_EXECUTOR_SCALE_UP_INTERVAL: seconds(60, "standard queue: between two steps up"),
  TASK_EXECUTOR_SCALE_DOWN_INTERVAL: seconds(180, "standard queue: between two steps down"),
  LUMINA_EXECUTOR_MIN_CONCURRENT: slots(24, "lumina queue: slots at first"),
  LUMINA_EXECUTOR_MAX_CONCURRENT: slots(100, "lumina queue: slots at most"),
  LUMINA_EXECUTOR_SCALE_UP_STEP: slots(1, "lumina queue: slots added at a time"),
  LUMINA_EXECUTOR_SCALE_UP_INTERVAL: seconds(90, "lumina queue: between two steps up"),
  LUMINA_EXECUTOR_SCALE_DOWN_INTERVAL: seconds(180, "lumina queue: between two steps down"),
  IMAGE_MAX_POLLING_ATTEMPTS: {
    kind: "int",
    default: "30",
    range: [1, 10_000],
    unit: "polls",
    help: "standard: polls of one job",
  },
  IMAGE_POLLING_INTERVAL: seconds(2.0, "standard: between two polls"),
  LUMINA_MAX_POLLING_ATTEMPTS: {
    kind: "int",
    default: "50",
    range: [1, 10_000],
    unit: "polls",
    help: "lumina: polls of one job",
  },
  LUMINA_POLLING_INTERVAL: seconds(3.0, "lumina: between two polls"),
  NOTIFY_URLS: { kind: "list", default: "", secret: true, help: "webhooks told of a task's start and end" },
  MONGODB_URL: { kind: "text", default: "", secret: true, help: "the old database: source of the migration" },
  DB_NAME: { kind: "text", default: "", help: "name of the old database" },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

type Value<N extends SettingName> = (typeof settings)[N]["kind"] extends "int" | "number" ? number
  : (typeof settings)[N]["kind"] extends "flag" ? boolean
  : (typeof settings)[N]["kind"] extends "list" ? string[]
  : string;

/** Parsed settings by their environment names; LOG_LEVEL in lower case. */
export type Config = { [N in SettingName]: N extends "LOG_LEVEL" ? Level : Value<N> };

/** Who asks: each program refuses to start without what it cannot do without. */
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
  const [least, most] = range ?? [-Infinity, Infinity];
  const good = (kind === "int" ? Number.isSafeInteger(value) : Number.isFinite(value)) && value >= least &&
    value <= most;
  const noun = kind === "int" ? "a whole number" : "a number";
  return good
    ? { value }
    : { wanted: `${noun} from ${least} to ${most}${setting.unit ? ` (${setting.unit})` : ""}` };
}

function checkSecret(config: Config): FieldFault[] {
  const bytes = new TextEncoder().encode(config.SECRET_KEY).length;
  if (bytes >= secretBytesMin || config.SHORT_SECRET_KEY === "allow") return [];
  return [{
    field: "SECRET_KEY",
    wanted:
      `${secretBytesMin} bytes or more, it has ${bytes}; for an old key that signed tokens still in use ` +
      "set SHORT_SECRET_KEY=allow",
  }];
}

function checkUrls(config: Config): FieldFault[] {
  const wanted: [SettingName, string[]][] = [
    ["DATABASE_URL", ["postgres:", "postgresql:"]],
    ["REDIS_URL", ["redis:", "rediss:"]],
    ["UPSTASH_REDIS_REST_URL", ["http:", "https:"]],
    ["IMAGE_API_URL", ["http:", "https:"]],
    ["LUMINA_API_URL", ["http:", "https:"]],
  ];
  return wanted.flatMap(([name, schemes]) => {
    const text = String(config[name]);
    if (text === "") return [];
    const scheme = URL.canParse(text) ? new URL(text).protocol : "";
    return schemes.includes(scheme)
      ? []
      : [{ field: name, wanted: `a URL that starts with ${schemes.join(" or ")}//` }];
  });
}

/** Where a webhook goes. */
export interface WebhookTarget {
  url: URL;
  /** Its origin is listed with its scheme: it may be in a private network, and be reached by http. */
  trusted: boolean;
}

const withScheme = /^https?:\/\//i;
const originOf = (entry: string): string | undefined => {
  const text = withScheme.test(entry) ? entry : `https://${entry}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && url.pathname === "/" && url.search + url.hash + url.username === "" ? url.origin : undefined;
};

/**
 * A webhook's URL as WEBHOOK_HOSTS allows it.
 *
 * @returns what was wanted where it does not
 *
 * @example
 * ```ts
 * import { readWebhookUrl } from "./config.ts";
 * const target = readWebhookUrl(["hooks.example.com"], "https://hooks.example.com/a");
 * if (typeof target === "string" || target.trusted) throw new Error("by https, to a public address");
 * if (readWebhookUrl(["hooks.example.com"], "http://hooks.example.com/a") instanceof Object) throw new Error();
 * ```
 */
export function readWebhookUrl(hosts: readonly string[], text: string): WebhookTarget | string {
  const url = /^https?:\/\/[^\s\0]+$/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (!url) return "a URL that starts with https://";
  if (url.username !== "" || url.password !== "" || url.hash !== "") return "a URL without user and fragment";
  const entry = hosts.find((host) => originOf(host) === url.origin);
  return entry === undefined ? "a host of WEBHOOK_HOSTS" : { url, trusted: withScheme.test(entry) };
}

function checkWebhookHosts({ WEBHOOK_HOSTS }: Config): FieldFault[] {
  return WEBHOOK_HOSTS.filter((entry) => originOf(entry) === undefined)
    .map((value) => ({ field: "WEBHOOK_HOSTS", value, wanted: "host[:port] or http(s)://host[:port]" }));
}

/**
 * Reads the settings out of `env`; names that are not ours are ignored, an empty value counts as unset.
 *
 * @throws AppError invalid_config with one field a fault, all of them at once
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
    throw new AppError("invalid_config", "reading the settings: some are wrong", { fields: faults });
  }
  config.LOG_LEVEL = parsed.LOG_LEVEL.toLowerCase();
  if (parsed.LUMINA_API_URL === "") config.LUMINA_API_URL = parsed.IMAGE_API_URL;
  return parsed;
}

/** The environment of this process. */
export function readEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.keys(settings).map((name) => [name, Deno.env.get(name)]));
}
