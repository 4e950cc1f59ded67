/** v2's OpenAPI document as a contract: requests drawn from it, answers held against it. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { fromSchema, type Schema, spoil } from "./schema_arbitrary.ts";

interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required?: boolean;
  schema: Schema;
}

interface ResponseObject {
  content?: Record<string, { schema: Schema }>;
}

interface Operation {
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, ResponseObject | { $ref: string }>;
  "x-access": string;
}

export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, ResponseObject> };
}

export interface Route {
  method: string;
  path: string;
  access: string;
  parameters: Parameter[];
  body: Schema | undefined;
  operation: Operation;
}

/** A request that was drawn; `fits` where its body does not go against the document. */
export interface Drawn {
  route: Route;
  path: string;
  body: unknown;
  fits: boolean;
}

/** What stands for parameters of a path: things that are there, and a few that are not. */
export type Known = Record<string, readonly string[]>;

/** Returns the component that a reference names. */
const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf("/") + 1);

export class Contract {
  readonly routes: Route[];
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<unknown, ValidateFunction>();

  constructor(readonly document: Document) {
    this.#ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: true });
    (addFormats as unknown as (ajv: Ajv2020) => void)(this.#ajv);
    this.#ajv.addSchema(document as object, "api");
    this.routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): Route => ({
        method: method.toUpperCase(),
        path,
        access: operation["x-access"],
        parameters: operation.parameters ?? [],
        body: operation.requestBody?.content["application/json"]?.schema,
        operation,
      }))
    );
  }

  #resolve = (ref: string): Schema => this.document.components.schemas[nameOf(ref)]!;

  #findResponse({ responses }: Operation, status: number): ResponseObject | undefined {
    const response = responses[String(status)];
    return response && "$ref" in response
      ? this.document.components.responses[nameOf(response.$ref)]
      : response;
  }

  /** Whether a value fits a schema of the document. */
  fits(schema: Schema, value: unknown): string | undefined {
    const known = this.#validators.get(schema) ?? this.#ajv.compile(this.#absolute(schema) as object);
    this.#validators.set(schema, known);
    return known(value) ? undefined : this.#ajv.errorsText(known.errors);
  }

  #absolute(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((inner) => this.#absolute(inner));
    if (typeof schema !== "object" || schema === null) return schema;
    return Object.fromEntries(
      Object.entries(schema).map(([key, inner]) => [
        key,
        key === "$ref" ? `api${inner}` : this.#absolute(inner),
      ]),
    );
  }

  /** Draws requests of a route: two of three as the document wants them. */
  draw(route: Route, known: Known): fc.Arbitrary<Drawn> {
    const query = route.parameters.filter((parameter) => parameter.in === "query");
    const body = route.body === undefined ? fc.constant(undefined) : fromSchema(route.body, this.#resolve);
    const path = fc.record(
      Object.fromEntries(
        route.parameters.filter((parameter) => parameter.in === "path").map(({ name, schema }) => [
          name,
          fc.oneof(
            { weight: 8, arbitrary: fc.constantFrom(...(known[name] ?? ["0"])) },
            { weight: 1, arbitrary: fromSchema(schema, this.#resolve) },
            { weight: 1, arbitrary: fc.constantFrom("0", "x", "'", "NaN", "%00", "..%2f", "😀") },
          ),
        ]),
      ),
    );
    const asked = fc.record(
      Object.fromEntries(query.map(({ name, schema }) => [name, fromSchema(schema, this.#resolve)])),
      { requiredKeys: query.filter(({ required }) => required).map(({ name }) => name) },
    );
    const spoiled = fc.oneof({ weight: 2, arbitrary: fc.constant(false) }, {
      weight: 1,
      arbitrary: fc.constant(true),
    });
    return fc.tuple(path, asked, body, spoiled).chain(([places, fields, content, bad]) =>
      fc.tuple(
        bad ? spoil(fields) : fc.constant(fields),
        bad && content !== undefined ? spoil(content) : fc.constant(content),
      )
        .map(([given, sent]) => this.#toDrawn(route, places as Record<string, unknown>, given, sent, bad))
    );
  }

  #toDrawn(
    route: Route,
    places: Record<string, unknown>,
    given: unknown,
    body: unknown,
    bad: boolean,
  ): Drawn {
    const path = route.path.replaceAll(/\{([^}]+)\}/g, (_, name) => {
      const place = String(places[name]);
      return place.startsWith("%") || place.includes("%2f")
        ? place
        : encodeURIComponent(place.toWellFormed());
    });
    const query = new URLSearchParams();
    if (typeof given === "object" && given !== null) {
      for (const [name, value] of Object.entries(given)) {
        if (value !== undefined) {
          query.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
        }
      }
    }
    const fits = !bad || route.body === undefined ||
      this.fits(route.body, JSON.parse(JSON.stringify(body) ?? "null")) === undefined;
    return { route, path: query.size > 0 ? `${path}?${query}` : path, body, fits };
  }

  /** What of an answer goes against the document; undefined where nothing does. */
  judge({ operation }: Route, status: number, contentType: string, text: string): string | undefined {
    const response = this.#findResponse(operation, status);
    if (!response) return `status ${status} is not in the document: ${text.slice(0, 300)}`;
    if (!response.content) return text === "" ? undefined : `status ${status} has no body in the document`;
    const type = contentType.split(";")[0]!.trim();
    const media = response.content[type];
    if (!media) return `'${contentType}' is not in the document for ${status}`;
    if (type !== "application/json" && type !== "application/problem+json") return undefined;
    const why = this.fits(media.schema, JSON.parse(text));
    return why === undefined
      ? undefined
      : `the body of ${status} does not fit: ${why}: ${text.slice(0, 300)}`;
  }
}
