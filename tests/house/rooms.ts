/** Source rooms and their permitted imports: the one table of the house's import directions. */

/**
 * Each folder with product sources, and the folders it may import besides itself, the ground and its own level's
 * files at the root. `tests/house_test.ts` rejects a folder that is missing here and a table with a cycle.
 */
export const rooms: Record<string, string[]> = {
  "db/pg": [],
  "db/people": ["db/pg"],
  "db/queue": ["db/pg", "db/people"],
  "db/judging": ["db/pg"],
  "db/traffic": ["db/pg"],
  "db/v1": ["db/pg"],
  "db/views": ["db/pg", "db/queue", "db/judging", "db/v1"],

  "redis": ["db/queue"],

  "statistics": [],

  "jobs/matrix": ["db/queue"],
  "jobs/moves": ["db/pg", "db/people", "db/queue", "jobs/matrix"],
  "jobs/image": ["db/queue", "jobs/matrix"],
  "jobs/slots": ["db/pg", "db/queue", "jobs/image"],
  "jobs/work": ["db/pg", "db/queue", "redis", "jobs/image", "jobs/slots"],
  "jobs/tell": ["db/pg", "db/queue"],
  "jobs/lead": ["db/pg", "db/people", "db/queue", "redis", "jobs/slots"],
  "jobs/doctor": ["db/pg", "db/queue", "redis", "jobs/moves"],
  "jobs": [
    "db/pg",
    "db/queue",
    "redis",
    "jobs/moves",
    "jobs/image",
    "jobs/slots",
    "jobs/work",
    "jobs/tell",
    "jobs/lead",
    "jobs/doctor",
  ],

  "migrate/schema": ["db/pg"],
  "migrate/data/tools": [],
  "migrate/data/documents": [],
  "migrate/data/lens": ["migrate/data/documents", "migrate/data/tools"],
  "migrate/data/sources": ["migrate/data/documents", "migrate/data/lens"],
  "migrate/data/ledger": [
    "db/pg",
    "db/queue",
    "migrate/schema",
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/lens",
    "migrate/data/sources",
  ],
  "migrate/data/load": [
    "db/pg",
    "migrate/schema",
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/lens",
    "migrate/data/ledger",
  ],
  "migrate/data/sync": [
    "db/pg",
    "db/queue",
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/lens",
    "migrate/data/sources",
    "migrate/data/load",
  ],
  "migrate/data/verify": [
    "db/pg",
    "migrate/schema",
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/lens",
    "migrate/data/sources",
    "migrate/data/ledger",
    "migrate/data/load",
    "migrate/data/sync",
  ],
  "migrate/data/repair": [
    "db/pg",
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/lens",
    "migrate/data/ledger",
    "migrate/data/load",
    "migrate/data/verify",
  ],
  "migrate/data/assess": [
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/lens",
    "migrate/data/sources",
    "migrate/data/load",
  ],
  "migrate/data/backup": [
    "db/pg",
    "migrate/schema",
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/ledger",
    "migrate/data/load",
  ],
  "migrate/data/back": [
    "db/pg",
    "migrate/data/tools",
    "migrate/data/documents",
    "migrate/data/lens",
    "migrate/data/sources",
    "migrate/data/ledger",
    "migrate/data/sync",
    "migrate/data/verify",
  ],
  "migrate/data": [
    "db/pg",
    "migrate/schema",
    "migrate/data/tools",
    "migrate/data/sources",
    "migrate/data/ledger",
    "migrate/data/load",
    "migrate/data/sync",
    "migrate/data/back",
    "migrate/data/verify",
    "migrate/data/repair",
    "migrate/data/assess",
    "migrate/data/backup",
  ],
  "migrate": ["migrate/schema", "migrate/data"],

  "routes/common": ["redis"],
  "routes/v1": ["routes/common", "db/pg", "db/people", "db/v1", "jobs/moves"],
  "routes/v2/kit": ["routes/common", "db/pg", "db/people"],
  "routes/v2/tasks": [
    "routes/v2/kit",
    "db/pg",
    "db/queue",
    "db/judging",
    "db/views",
    "jobs/moves",
    "statistics",
  ],
  "routes/v2/people": ["routes/v2/kit", "routes/v2/tasks", "db/people"],
  "routes/v2/cells": ["routes/v2/kit", "routes/v2/tasks", "db/pg", "db/queue", "db/views"],
  "routes/v2/judging": ["routes/v2/kit", "routes/v2/tasks", "db/pg", "db/judging"],
  "routes/v2/live": ["routes/v2/kit", "routes/v2/tasks", "db/pg", "db/people", "db/queue", "db/views"],
  "routes/v2/stats": ["routes/v2/kit", "routes/v2/tasks", "db/views", "statistics"],
  "routes/v2": [
    "routes/common",
    "routes/v2/kit",
    "routes/v2/tasks",
    "routes/v2/people",
    "routes/v2/cells",
    "routes/v2/judging",
    "routes/v2/live",
    "routes/v2/stats",
    "db/queue",
    "jobs/moves",
  ],
  "routes/v2/generated": [],
  "routes": ["routes/common", "routes/v1", "routes/v2", "db/pg"],
};

/** Files at the root that every room may import; they import only each other. */
export const ground = [
  "arguments.ts",
  "batch.ts",
  "bell.ts",
  "config.ts",
  "env_file.ts",
  "errors.ts",
  "http.ts",
  "json.ts",
  "log.ts",
  "metrics.ts",
  "ops.ts",
  "passing.ts",
  "phrases.ts",
  "process.ts",
  "uuid.ts",
  "webhook_url.ts",
];

/** The three programs. Nothing imports them. */
export const mains = ["main.ts", "jobs/main.ts", "migrate/main.ts"];

/** Files that may import every room: they put a program together. */
export const assembly = ["deps.ts", ...mains];

/** Folders of programs and tests around the product, which may import everything. */
export const workshop = ["dev", "bench", "tests"];
