/** A client of v2 whose paths, bodies and answers are typed by the OpenAPI document. */
import createFetchClient, { type Client } from "openapi-fetch";
import type { components, paths } from "../routes/v2/generated/schema.ts";

export type Schemas = components["schemas"];
export type V2Client = Client<paths>;

/**
 * @param origin as `https://host`, without a path
 * @param token of a sign-in or of a share
 */
export function createV2Client(origin: string, token?: string): V2Client {
  return createFetchClient<paths>({
    baseUrl: origin,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
}
