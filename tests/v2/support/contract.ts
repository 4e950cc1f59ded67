/** Generates requests from v2's OpenAPI document and checks responses against it. */
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
  summary: string;
  description?: string;
  "x-who": string;
}

export interface Document {
  info: { description: string };
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

export interface GeneratedRequest {
  route: Route;
  path: string;
  body: unknown;
  /** Whether the body conforms to the document. */
  isValid: boolean;
}

/** Existing values of path parameters, by name. */
export type KnownValues = Record<string, readonly string[]>;

/** Returns the component that a reference names. */
const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf("/") + 1);

export class Contract {
  readonly routes: Route[];
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<unknown, ValidateFunction>();

  constructor(readonly document: Document) {
    this.#ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: true });
    (addFormats as unknown as (ajv: Ajv2020) => void)(this.#ajv);
    this.#ajv.addFormat("idn-email", true);
    this.#ajv.addSchema(document as object, "api");
    this.routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): Route => ({
        method: method.toUpperCase(),
        path,
        access: operation["x-who"],
        parameters: operation.parameters ?? [],
        body: operation.requestBody?.content["application/json"]?.schema,
        operation,
      }))
    );
  }

  readonly resolve = (ref: string): Schema => this.document.components.schemas[nameOf(ref)]!;

  #findResponse({ responses }: Operation, status: number): ResponseObject | undefined {
    const response = responses[String(status)];
    return response && "$ref" in response
      ? this.document.components.responses[nameOf(response.$ref)]
      : response;
  }

  /** Returns how a value violates a schema of the document, or undefined. */
  findSchemaViolation(schema: Schema, value: unknown): string | undefined {
    const validate = this.#validators.get(schema) ??
      this.#ajv.compile(this.#withAbsoluteRefs(schema) as object);
    this.#validators.set(schema, validate);
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors);
  }

  #withAbsoluteRefs(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((inner) => this.#withAbsoluteRefs(inner));
    if (typeof schema !== "object" || schema === null) return schema;
    return Object.fromEntries(
      Object.entries(schema).map(([key, inner]) => [
        key,
        key === "$ref" ? `api${inner}` : this.#withAbsoluteRefs(inner),
      ]),
    );
  }

  /** Returns the route of a path without parameters in braces; of several, the one with the fewest parameters. */
  findRoute(method: string, target: string): Route {
    const path = target.replace(/\?.*/, "");
    const matches = (route: Route) =>
      new RegExp(`^${route.path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`).test(path) && route.method === method;
    const byParameters = (a: Route, b: Route) => a.path.split("{").length - b.path.split("{").length;
    const found = this.routes.filter(matches).toSorted(byParameters)[0];
    if (!found) throw new Error(`no route ${method} ${path}`);
    return found;
  }

  /** Returns everything that the document says about a route's requests, as text. */
  describe({ parameters, body, operation }: Route): string {
    const schema = body?.$ref === undefined ? body : this.resolve(body.$ref);
    const { info } = this.document;
    return JSON.stringify([info.description, operation.summary, operation.description, parameters, schema]);
  }

  /** Generates requests of a route. Two of three conform to the document. */
  requests(route: Route, known: KnownValues): fc.Arbitrary<GeneratedRequest> {
    const query = route.parameters.filter((parameter) => parameter.in === "query");
    const body = route.body === undefined ? fc.constant(undefined) : fromSchema(route.body, this.resolve);
    const path = fc.record(
      Object.fromEntries(
        route.parameters.filter((parameter) => parameter.in === "path").map(({ name, schema }) => [
          name,
          fc.oneof(
            { weight: 8, arbitrary: fc.constantFrom(...(known[name] ?? ["0"])) },
            { weight: 1, arbitrary: fromSchema(schema, this.resolve) },
            { weight: 1, arbitrary: fc.constantFrom("0", "x", "'", "NaN", "%00", "..%2f", "😀") },
          ),
        ]),
      ),
    );
    const queries = fc.record(
      Object.fromEntries(query.map(({ name, schema }) => [name, fromSchema(schema, this.resolve)])),
      { requiredKeys: query.filter(({ required }) => required).map(({ name }) => name) },
    );
    const spoiled = fc.oneof({ weight: 2, arbitrary: fc.constant(false) }, {
      weight: 1,
      arbitrary: fc.constant(true),
    });
    return fc.tuple(path, queries, body, spoiled).chain(([parameters, fields, content, isSpoiled]) =>
      fc.tuple(
        isSpoiled ? spoil(fields) : fc.constant(fields),
        isSpoiled && content !== undefined ? spoil(content) : fc.constant(content),
      )
        .map(([given, sent]) =>
          this.#toRequest(route, parameters as Record<string, unknown>, given, sent, isSpoiled)
        )
    );
  }

  #toRequest(
    route: Route,
    parameters: Record<string, unknown>,
    given: unknown,
    body: unknown,
    isSpoiled: boolean,
  ): GeneratedRequest {
    const path = route.path.replaceAll(/\{([^}]+)\}/g, (_, name) => {
      const value = String(parameters[name]);
      return value.startsWith("%") || value.includes("%2f")
        ? value
        : encodeURIComponent(value.toWellFormed());
    });
    const query = new URLSearchParams();
    if (typeof given === "object" && given !== null) {
      for (const [name, value] of Object.entries(given)) {
        if (value !== undefined) {
          query.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
        }
      }
    }
    const isValid = !isSpoiled || route.body === undefined ||
      this.findSchemaViolation(route.body, JSON.parse(JSON.stringify(body) ?? "null")) === undefined;
    return { route, path: query.size > 0 ? `${path}?${query}` : path, body, isValid };
  }

  /** Returns how a response violates the document, or undefined. */
  findViolation({ operation }: Route, status: number, contentType: string, text: string): string | undefined {
    const response = this.#findResponse(operation, status);
    if (!response) return `status ${status} is not in the document: ${text.slice(0, 300)}`;
    if (!response.content) return text === "" ? undefined : `status ${status} has no body in the document`;
    const type = contentType.split(";")[0]!.trim();
    const media = response.content[type];
    if (!media) return `'${contentType}' is not in the document for ${status}`;
    if (type !== "application/json" && type !== "application/problem+json") return undefined;
    const violation = this.findSchemaViolation(media.schema, JSON.parse(text));
    return violation === undefined
      ? undefined
      : `the body of ${status} violates its schema: ${violation}: ${text.slice(0, 300)}`;
  }
}
