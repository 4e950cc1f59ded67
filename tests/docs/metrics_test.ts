/** docs/metrics.md lists every metric as the code has it. */
import assert from "node:assert/strict";
import type { Registry } from "prom-client";
import { queues } from "../../db/queue/subtasks.ts";
import { attemptsMax } from "../../jobs/image/retry.ts";
import { sources } from "../house/sources.ts";
import { readPage, root } from "./support/pages.ts";

const page = readPage("docs/metrics.md");

/** The cells of the rows of a table whose first cell matches. */
const listRows = (first: RegExp): string[][] =>
  page.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
    .filter(([cell]) => first.test(cell!));

const words = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);

/** A metric as the package keeps it; its types hide some fields. */
interface Described {
  name: string;
  type: string;
  labelNames: string[];
}

type Create = () => { registry: Registry } & Record<string, unknown>;

/** Every function that creates a registry, by the file that exports it. */
const creators: { name: string; create: Create }[] = [];
for (const { path, text } of sources) {
  if (path.startsWith("tests/") || !text.includes('from "prom-client"')) continue;
  const exported = await import(new URL(path, root).href) as Record<string, unknown>;
  for (const [name, create] of Object.entries(exported)) {
    if (/^create\w*Metrics$/.test(name)) creators.push({ name, create: create as Create });
  }
}

async function describe(metric: unknown): Promise<Described> {
  const { labelNames = [] } = metric as Partial<Described>;
  const { name, type } = await (metric as { get(): Promise<Described> }).get();
  return { name, type, labelNames: [...labelNames] };
}

Deno.test("the page lists the name, type and labels of every metric", async () => {
  const listed = listRows(/^`contactsheet_/).map(([name, type, labels]) => ({
    name: words(name!)[0]!,
    type: type!,
    labelNames: words(labels!),
  }));
  const existing = new Map<string, Described>();
  for (const { create } of creators) {
    for (const metric of create().registry.getMetricsAsArray()) {
      const described = await describe(metric);
      existing.set(described.name, described);
    }
  }
  const byName = (a: Described, b: Described) => a.name < b.name ? -1 : 1;
  assert.deepEqual(listed.toSorted(byName), [...existing.values()].toSorted(byName));
});

/** Rooms of the programs that share a registry. Code of `redis/` serves both. */
const roomsOf: Record<string, string[]> = { API: ["routes/", "redis/"], worker: ["jobs/", "redis/"] };

/** Returns the programs whose code uses a metric of the shared registry. */
function findUsers(key: string): string[] {
  const taken = `\\{[^}]*\\b${key}\\b[^}]*\\}(?:: Metrics| = [\\w.]*[mM]etrics)`;
  const pattern = new RegExp(`(?:metrics\\??\\.${key}|${taken})\\b`);
  const users = sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
  return Object.keys(roomsOf).filter((program) =>
    users.some((path) => roomsOf[program]!.some((room) => path.startsWith(room)))
  );
}

Deno.test("the programs that the page names set the metric, and no other does", async () => {
  const setBy = new Map<string, string[]>();
  for (const { name: creator, create } of creators) {
    const { registry, ...metrics } = create();
    const command = /^create(\w+)Metrics$/.exec(creator)?.[1]?.toLowerCase();
    for (const metric of command === undefined ? [] : registry.getMetricsAsArray()) {
      const { name } = await describe(metric);
      setBy.set(name, [...setBy.get(name) ?? [], command!]);
    }
    for (const [key, metric] of command === undefined ? Object.entries(metrics) : []) {
      setBy.set((await describe(metric)).name, findUsers(key));
    }
  }
  for (const [cell, , , by] of listRows(/^`contactsheet_/)) {
    const name = words(cell!)[0]!;
    const users = setBy.get(name)!;
    assert.deepEqual(users.toSorted(), by!.split(", ").toSorted(), name);
  }
});

Deno.test("the page lists the values of the labels", () => {
  const values = new Map(
    listRows(/^`(?:queue|outcome|use)`/).map(([label, cell]) => [words(label!)[0]!, words(cell!)]),
  );
  assert.deepEqual(new Set(values.get("queue")), new Set(queues));
  assert.deepEqual(new Set(values.get("outcome")), new Set(["done", ...Object.keys(attemptsMax)]));
  assert.deepEqual(values.get("use"), ["reads", "feed", "logins"]);
});
