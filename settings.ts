/** The table of all settings: kind, default, range, unit and help of each environment variable. */
import { levels } from "./log.ts";

export interface Setting {
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
  DATABASE_DIRECT_URL: {
    ...url(
      "PostgreSQL without the pooler, where DATABASE_URL leads to PgBouncer (pgbouncer=true): for notifications, locks of " +
        "sessions, and migrations",
    ),
    secret: true,
  },
  DATABASE_READ_URL: {
    ...url(
      "PostgreSQL: a streaming replica of DATABASE_URL that answers the API's reads; empty: there is none",
    ),
    secret: true,
  },
  READ_LAG_MS: {
    kind: "int",
    default: "200",
    range: [1, 10_000],
    unit: "ms",
    help:
      "longest wait of a read for the replica to have all earlier writes; a replica that lags more is left out",
  },
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
  API_PROCESSES: {
    kind: "int",
    default: "1",
    range: [0, 64],
    unit: "processes",
    help: "processes of the API that share PORT; 0 starts one for each core",
  },
  ADMIN_PORT: {
    kind: "int",
    default: "0",
    range: [0, 65_535],
    help: "private port of /live, /ready and /metrics; 0 disables it",
  },
  ADMIN_HOST: {
    kind: "text",
    default: "127.0.0.1",
    help: "address of ADMIN_PORT; 0.0.0.0 in a container, whose network must keep the port private",
  },
  DRAIN_MS: {
    kind: "int",
    default: "0",
    range: [0, 60_000],
    unit: "ms",
    help:
      "how long the API goes on accepting requests after SIGTERM while /ready is 503: the time in which the proxy " +
      "in front notices it",
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
  IMAGE_HOSTS: {
    kind: "list",
    default: "",
    help:
      "hosts that the console shows images from, separated by commas: host[:port] or http(s)://host[:port], with *. before " +
      "a domain for all its hosts; empty: the hosts of IMAGE_API_URL and LUMINA_API_URL",
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
