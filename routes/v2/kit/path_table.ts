/** The paths of the route table: which one a request has, and its methods. */
import { basePath, type RouteEntry } from "./route.ts";

/** Methods of v2 in the order in which `Allow` lists them. */
export const allMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/** Segments of a route's path; undefined stands for a parameter. */
interface RoutePath {
  segments: (string | undefined)[];
  methods: string[];
}

/** Returns the methods of a request's path with `OPTIONS`, or an empty list if there is no such path. */
export type FindMethods = (path: string) => readonly string[];

function toSegments(path: string): (string | undefined)[] {
  return path.split("/").map((segment) => segment.startsWith("{") ? undefined : segment);
}

const matches = ({ segments }: RoutePath, given: readonly string[]): boolean =>
  segments.length === given.length &&
  segments.every((segment, i) => segment === undefined ? given[i] !== "" : segment === given[i]);

/** Orders fixed segments before parameters, from the first segment on. */
function compareSegments({ segments: a }: RoutePath, { segments: b }: RoutePath): number {
  const first = a.findIndex((segment, i) => (segment === undefined) !== (b[i] === undefined));
  return first < 0 ? 0 : a[first] === undefined ? 1 : -1;
}

/**
 * Creates the lookup. A fixed path such as `/users/me` hides a path with a parameter such as `/users/{id}` for all
 * methods, also for those that it does not have.
 */
export function createPathTable(routes: readonly RouteEntry[]): FindMethods {
  const methodsByPath = new Map<string, string[]>();
  for (const { method, path } of routes) {
    const methods = methodsByPath.get(path) ?? ["OPTIONS"];
    methods.push(method, ...(method === "GET" ? ["HEAD"] : []));
    methodsByPath.set(path, methods);
  }
  const order = [...allMethods, "OPTIONS"];
  const paths = [...methodsByPath].map(([path, methods]): RoutePath => ({
    segments: toSegments(path),
    methods: order.filter((method) => methods.includes(method)),
  })).sort(compareSegments);
  return (path) => {
    const given = path.slice(basePath.length).split("/");
    return paths.find((known) => matches(known, given))?.methods ?? [];
  };
}
