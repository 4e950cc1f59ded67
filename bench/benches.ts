/** The benches, in the order in which `deno task bench all` runs them. */
import { AppError } from "../errors.ts";

/** A bench: a folder here with a `main.ts` that knows `--quick` and `--json`. */
export interface Bench {
  /** What it measures, for the usage. */
  about: string;
  /** Usual duration of the whole bench and of `--quick`, in minutes, for the time left. */
  minutes: [whole: number, quick: number];
}

export const benches: Readonly<Record<string, Bench>> = {
  queue: {
    about:
      "queue: throughput, dispatch, recovery and Redis cost, compared with BullMQ, pg-boss and graphile-worker",
    minutes: [7, 1.5],
  },
  http: {
    about: "v1 API: requests per second, latency and memory, compared with a minimal handler",
    minutes: [9, 2],
  },
  v2: { about: "v2 API: ratings, plan, statistics, export and live events", minutes: [4, 2] },
  load: {
    about: "migration: speed and memory of `data load` and `data verify`, compared with psql COPY and INSERT",
    minutes: [12, 1.5],
  },
  sync: {
    about: "migration: copy and follow a changing MongoDB: speed, lag, gaps and memory",
    minutes: [5, 1],
  },
  switch: { about: "the switch: cost of the front, cut-overs and rollbacks under load", minutes: [15, 3] },
  operations: {
    about: "rolling restarts, kills, API processes and workers, restore, steps of the schema",
    minutes: [20, 5],
  },
  console: {
    about:
      "console in Chromium: frames, nodes, first heatmap, axis swap, live changes and memory of a large run",
    minutes: [13, 2],
  },
};

/** Parses names of benches, separated by commas. @throws AppError usage for a name that is none */
export function parseBenches(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !Object.hasOwn(benches, name));
  if (unknown !== undefined) {
    throw new AppError(
      "usage",
      `choosing bench '${unknown}': expected one of ${Object.keys(benches).join(", ")}`,
    );
  }
  return Object.keys(benches).filter((name) => names.includes(name));
}
