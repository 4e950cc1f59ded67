/** JSON responses whose text is made without `c.json`. */
import type { Context, TypedResponse } from "hono";
import type { V2Env } from "./context.ts";

export type SuccessStatus = 200 | 201 | 202;

/** A response whose JSON body has the type `T`, checked against the schemas of its route. */
export type JsonResponse<T, S extends SuccessStatus = 200> = Response & TypedResponse<T, S, "json">;

/**
 * Declares the type of a response's JSON body. Hono knows it only from `c.json`, which would format the body again.
 * A 304 has no body, and the routes' schemas do not list it.
 */
export const withBodyType = <T, S extends SuccessStatus = 200>(response: Response): JsonResponse<T, S> =>
  response as JsonResponse<T, S>;

/** Responds with `text`, which is the JSON of a `T`. */
export const respondJson = <T>(c: Context<V2Env>, text: string): JsonResponse<T> =>
  withBodyType(c.body(text, 200, { "content-type": "application/json" }));
