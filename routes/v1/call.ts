/** The context of one API call of v1, and its successful responses. */
import type { Config } from "../../config.ts";
import type { Pool } from "../../db/pg/connect.ts";
import type { UserRow } from "../../db/people/users.ts";
import type { Json } from "../../json.ts";
import type { Log } from "../../log.ts";
import type { Passwords } from "../common/passwords.ts";
import type { DocsFiles } from "../common/docs.ts";
import type { LoginThrottle } from "../common/throttle.ts";
import type { Tokens } from "../common/tokens.ts";
import type { Form } from "./form.ts";
import type { Gate } from "../common/gate.ts";

export interface V1Deps {
  sql: Pool;
  log: Log;
  config: Config;
  tokens: Tokens;
  passwords: Passwords;
  throttle: LoginThrottle;
  gate: Gate;
  docsFiles: DocsFiles;
  /** Maximum time in milliseconds for a request body to arrive. */
  bodyMsMax: number;
}

export interface Call {
  deps: V1Deps;
  request: Request;
  /** The client's network, which the login throttle counts by. */
  address: string;
  /** The value of the path parameter `{…}`, or an empty string if the path has none. */
  id: string;
  /** Query parameters; of equal names, the last counts. */
  query: ReadonlyMap<string, string>;
  /** The parsed body if the route reads JSON; null if there is no body. */
  body: Json;
  /** The fields if the route reads a form. */
  form: Form;
  /** Id of the user in the token, once it is verified. The log names it. */
  caller?: string;
}

/** A call with a valid token of an active user. */
export interface AuthenticatedCall extends Call {
  user: UserRow;
}

const jsonHeaders = { "content-type": "application/json" };

/** Returns the response `{"code":200,"message":…,"data":…}`. `data` is JSON text. */
export function respond(message: string, data: string): Response {
  return new Response(`{"code":200,"message":${JSON.stringify(message)},"data":${data}}`, {
    headers: jsonHeaders,
  });
}

/** Returns the same response as {@link respond} for a stream of JSON text. */
export function respondStream(
  message: string,
  data: ReadableStream<Uint8Array>,
  headers: Record<string, string>,
): Response {
  const encoder = new TextEncoder();
  const framed = data.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      start(controller) {
        controller.enqueue(encoder.encode(`{"code":200,"message":${JSON.stringify(message)},"data":`));
      },
      flush(controller) {
        controller.enqueue(encoder.encode("}"));
      },
    }),
  );
  return new Response(framed, { headers: { ...jsonHeaders, ...headers } });
}
