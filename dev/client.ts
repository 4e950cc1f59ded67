/** A client of v2. Its paths, bodies and responses are typed by the OpenAPI document. */
import createFetchClient, { type Client } from "openapi-fetch";
import type { components, paths } from "../routes/v2/generated/schema.ts";

export type Schemas = components["schemas"];
export type V2Client = Client<paths>;

/**
 * @param origin for example `https://host`, without a path
 * @param token an access token, or the token of a share
 */
export function createV2Client(origin: string, token?: string): V2Client {
  return createFetchClient<paths>({
    baseUrl: origin,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
}
