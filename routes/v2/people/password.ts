/** Rules for new passwords, and verification of passwords as in v1, with the same throttle. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { V2Env } from "../kit/context.ts";
import { HttpError } from "../kit/problem.ts";
import { textSchema } from "../kit/texts.ts";
import commonText from "./common_passwords.txt" with { type: "text" };

const lengthMin = 8;
/** bcrypt ignores further bytes. */
const bytesMax = 72;

const encoder = new TextEncoder();

/** Passwords that are common among leaked ones. Lines of the file that start with `#` are comments. */
const commonPasswords: ReadonlySet<string> = new Set(
  commonText.split("\n").filter((line) => line !== "" && !line.startsWith("#")),
);

/** Words that anybody would guess here. docs/security.md lists them. */
export const guessableWords: readonly string[] = [
  ...[
    "contactsheet",
    "contact",
    "sheet",
    "console",
    "matrix",
    "image",
    "images",
    "worker",
    "login",
    "welcome",
  ],
  ...[
    "admin",
    "administrator",
    "manager",
    "operator",
    "guest",
    "tester",
    "user",
    "password",
    "passwort",
    "secret",
  ],
];
const guessable: ReadonlySet<string> = new Set(guessableWords);

/** Reports whether a password is common, or one of the guessable words with digits and signs around it. */
export function isGuessable(password: string): boolean {
  const text = password.toLowerCase();
  return commonPasswords.has(text) || guessable.has(text.replace(/[^\p{L}]/gu, ""));
}

/** A new password. */
export const newPassword = z.string().superRefine((text, ctx) => {
  const addIssue = (message: string) => ctx.addIssue({ code: "custom", message });
  if ([...text].length < lengthMin || encoder.encode(text).length > bytesMax) {
    addIssue(`${lengthMin} characters to ${bytesMax} bytes`);
  } else if (isGuessable(text)) addIssue("a password that is hard to guess");
}).openapi({
  minLength: lengthMin,
  maxLength: bytesMax,
  format: "password",
  pattern: "^[^\\u0000]*$",
  description: `At most ${bytesMax} bytes in UTF-8, neither common nor easy to guess here`,
});

/**
 * A password for verification. It need not satisfy the rules for new passwords. The old backend compared the first 72
 * bytes, so a migrated user with a longer password signs in as before.
 */
export const currentPassword = textSchema(1024).openapi({ format: "password" });

/**
 * Reports whether a password is correct. Counts the attempt together with v1's logins, and takes the same
 * time if there is no hash.
 *
 * @throws HttpError too_many_requests
 * @throws AppError redis_unreachable (503) if attempts cannot be counted
 */
export async function verifyPassword(
  c: Context<V2Env>,
  email: string,
  password: string,
  findHash: () => Promise<string | undefined>,
): Promise<boolean> {
  const { throttle, passwords, log } = c.var.deps;
  const seconds = await throttle.acquire(c.env.address, email);
  if (seconds > 0) {
    throw new HttpError("too_many_requests", `signing in: too many tries, wait ${seconds} s`, {
      "retry-after": String(seconds),
    });
  }
  const compared = await passwords.matches(password, await findHash());
  if (compared === "malformed") {
    log.error("the stored password hash is not a bcrypt hash", { request_id: c.var.requestId });
  }
  return compared === "same";
}
