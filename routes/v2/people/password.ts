/** Passwords on their way in: compared as v1 compares them, with its throttle; what a new one must be. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { V2Env } from "../kit/context.ts";
import { HttpFailure } from "../kit/problem.ts";

const lengthMin = 8;
/** bcrypt sees no more. */
const bytesMax = 72;

const encoder = new TextEncoder();

/** A password to be. */
export const newPassword = z.string().superRefine((text, ctx) => {
  const fits = [...text].length >= lengthMin && encoder.encode(text).length <= bytesMax;
  if (!fits) ctx.addIssue({ code: "custom", message: `wanted ${lengthMin} characters to ${bytesMax} bytes` });
}).openapi({ minLength: lengthMin, maxLength: bytesMax, format: "password" });

/** A password as it is typed in: whatever was once taken is compared. */
export const givenPassword = z.string().min(1).max(1024).openapi({ format: "password" });

/**
 * One try of a password: counted with v1's logins, and as slow whether there is a hash or not.
 *
 * @throws HttpFailure too_many_requests
 * @throws AppError redis_unreachable where tries cannot be counted: 503
 */
export async function tryPassword(
  c: Context<V2Env>,
  email: string,
  password: string,
  findHash: () => Promise<string | undefined>,
): Promise<boolean> {
  const { throttle, passwords, log } = c.var.deps;
  const seconds = await throttle.take(c.env.address, email);
  if (seconds > 0) {
    throw new HttpFailure("too_many_requests", `signing in: too many tries, wait ${seconds} s`, {
      "retry-after": String(seconds),
    });
  }
  const compared = await passwords.matches(password, await findHash());
  if (compared === "malformed") {
    log.error("stored password hash is not bcrypt's", { request_id: c.var.requestId });
  }
  return compared === "same";
}
