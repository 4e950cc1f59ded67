/** Requests at and beyond the bounds of the OpenAPI document, and whether the document allows them. */
import fc from "fast-check";
import { boundaryTexts, mutations, toBody } from "./boundaries.ts";
import type { Contract, Route } from "./contract.ts";
import { fromSchema, type Schema } from "./schema_arbitrary.ts";

type Texts = Record<string, string>;

export interface DrawnRequest {
  route: Route;
  path: Texts;
  query: Texts;
  headers: Texts;
  /** The text of the body. */
  body?: string;
}

type Place = "path" | "query" | "header";

const parametersIn = (route: Route, place: Place) =>
  route.parameters.filter((parameter) => parameter.in === place);

/** Returns the value that a text of a parameter stands for, in the one spelling that JSON has for it. */
function toValue({ type }: Schema, text: string): unknown {
  if (type === "integer" && /^(?:0|-?[1-9][0-9]*)$/.test(text)) return Number(text);
  if (type === "boolean" && /^(?:true|false)$/.test(text)) return text === "true";
  return text;
}

/** Returns how a request violates the document, or undefined. */
export function findRequestViolation(contract: Contract, request: DrawnRequest): string | undefined {
  const { route, path, query, headers, body } = request;
  const given: Record<Place, Texts> = { path, query, header: headers };
  for (const { name, in: place, schema, required } of route.parameters) {
    const text = given[place][name];
    if (text === undefined && !required) continue;
    if (text === undefined) return `${place} ${name} is missing`;
    const violation = contract.findSchemaViolation(schema, toValue(schema, text));
    if (violation !== undefined) return `${place} ${name}: ${violation}`;
  }
  if (!route.body) return undefined;
  const violation = contract.findSchemaViolation(route.body, JSON.parse(body!));
  return violation && `body: ${violation}`;
}

/**
 * Draws bodies of a route: a few that conform to the document, and what differs from them in one place.
 *
 * @param open a further body
 */
function drawBodies(contract: Contract, route: Route, open?: unknown): string[] {
  const { body } = route;
  if (!body) return [];
  const conforming = fromSchema(body, contract.resolve)
    .filter((value) => contract.findSchemaViolation(body, JSON.parse(JSON.stringify(value))) === undefined);
  // Most fields can be changed in the largest one.
  const size = (value: unknown) => JSON.stringify(value).length;
  const samples = fc.sample(conforming, { numRuns: 20, seed: 12 }).toSorted((a, b) => size(b) - size(a));
  const bases = [samples[0], samples.at(-1), ...(open === undefined ? [] : [open])];
  const bodies = bases.flatMap((base) => [base, ...mutations(body, base, contract.resolve)]);
  return [...new Set(bodies.map(toBody))];
}

/**
 * Draws requests of a route. In each of them, one parameter or one place in the body has a value at or beyond its
 * bounds; the rest conforms to the document.
 *
 * @param known existing values of parameters, by name
 * @param openBody a body with values for what the schema leaves open
 */
export function drawRequests(
  contract: Contract,
  route: Route,
  known: Record<string, string>,
  openBody?: unknown,
): DrawnRequest[] {
  const examples = (parameters: typeof route.parameters): Texts =>
    Object.fromEntries(parameters.map(({ name, schema }) => [name, known[name] ?? exampleOf(schema)]));
  const path = examples(parametersIn(route, "path"));
  const required = parametersIn(route, "query").filter((parameter) => parameter.required);
  const query = examples(required);
  const bodies = drawBodies(contract, route, openBody);
  const base: DrawnRequest = { route, path, query, headers: {} };
  if (bodies.length > 0) base.body = bodies[0]!;
  const drawn: DrawnRequest[] = route.method === "GET" ? [base] : bodies.map((body) => ({ ...base, body }));
  for (const { name, in: place, schema } of route.parameters) {
    const key = place === "header" ? "headers" : place;
    for (const text of boundaryTexts(schema)) {
      drawn.push({ ...base, [key]: { ...base[key], [name]: text } });
    }
  }
  for (const { name } of required) {
    const rest = Object.fromEntries(Object.entries(query).filter(([other]) => other !== name));
    drawn.push({ ...base, query: rest });
  }
  return drawn.filter(canSend);
}

/** Returns a text that conforms to the schema of a parameter. */
function exampleOf(schema: Schema): string {
  return String(fc.sample(fromSchema(schema, () => ({})), { numRuns: 1, seed: 1 })[0]);
}

/** Returns the target of a request. */
export function targetOf({ route, path, query }: DrawnRequest): string {
  const target = route.path.replaceAll(/\{([^}]+)\}/g, (_, name) => encodeURIComponent(path[name]!));
  const text = new URLSearchParams(query).toString();
  return text === "" ? target : `${target}?${text}`;
}

const headerText = /^(?:[\x21-\x7e\xa0-\xff](?:[\t\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa0-\xff])?)?$/;

/** Reports whether HTTP can express a request. It removes white space around headers, and no segment is empty. */
function canSend({ path, query, headers }: DrawnRequest): boolean {
  return Object.values(path).every((text) => text !== "" && text.isWellFormed() && !/^\.\.?$/.test(text)) &&
    Object.values(query).every((text) => text.isWellFormed()) &&
    Object.values(headers).every((text) => headerText.test(text));
}
