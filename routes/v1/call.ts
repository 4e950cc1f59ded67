/** One call of v1 on its way: what came, who asks, and how it is answered. */
import type { Config } from "../../config.ts";
import type { Pool } from "../../db/pg/connect.ts";
import type { UserRow } from "../../db/people/users.ts";
import type { Json } from "../../json.ts";
import type { Log } from "../../log.ts";
import type { Passwords } from "../common/passwords.ts";
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
  /** Milliseconds that a body may take to come. */
  bodyMsMax: number;
}

export interface Call {
  deps: V1Deps;
  request: Request;
  /** The address that the throttle counts by. */
  address: string;
  /** What stands for `{…}` in the path; empty where nothing does. */
  id: string;
  /** Query parameters, the last of equal names. */
  query: ReadonlyMap<string, string>;
  /** Parsed where the route reads JSON; null where there was none. */
  body: Json;
  /** Fields where the route reads a form. */
  form: Form;
}

/** A call of someone whose token was good. */
export interface SignedCall extends Call {
  user: UserRow;
}

const jsonHeaders = { "content-type": "application/json" };

/** `{"code":200,"message":…,"data":…}` with `data` as JSON text. */
export function answer(message: string, data: string): Response {
  return new Response(`{"code":200,"message":${JSON.stringify(message)},"data":${data}}`, {
    headers: jsonHeaders,
  });
}

/** The same with `data` as a stream of JSON text. */
export function answerStream(
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
