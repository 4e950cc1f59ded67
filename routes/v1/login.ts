/** `POST /auth/login` */
import { findPassword } from "../../db/people/users.ts";
import type { Json } from "../../json.ts";
import { type Call, respond } from "./call.ts";
import { fileToJson } from "./form.ts";
import { Faults, readString } from "./pydantic.ts";
import { HttpError, ValidationError } from "./http_error.ts";

const badCredentials = () => new HttpError(401, "邮箱或密码错误", { "www-authenticate": "Bearer" });

/** Returns a field's text, which may be empty. Reports a file as a fault. */
function readField(call: Call, name: string, faults: Faults): string | undefined {
  const field = call.form.get(name);
  if (field === undefined || typeof field === "string") return field;
  return readString(fileToJson(field), ["body", name], faults);
}

function readCredentials(call: Call): { username: string; password: string } {
  const faults = new Faults();
  const grantType = readField(call, "grant_type", faults);
  if (grantType !== undefined && !/^password$/.test(grantType)) {
    const ctx: [string, Json][] = [["pattern", "^password$"]];
    const msg = "String should match pattern '^password$'";
    faults.add("string_pattern_mismatch", ["body", "grant_type"], msg, grantType, ctx);
  }
  const required = ["username", "password"].map((name) => {
    const faultsBefore = faults.list.length;
    const value = readField(call, name, faults);
    if (value === undefined && faults.list.length === faultsBefore) faults.addMissing(["body", name], null);
    return value;
  });
  for (const name of ["scope", "client_id", "client_secret"]) readField(call, name, faults);
  const [username, password] = required;
  if (faults.list.length > 0 || username === undefined || password === undefined) {
    throw new ValidationError(faults.list);
  }
  return { username, password };
}

/**
 * Exchanges an e-mail and a password for a token. A disabled user gets a token too, but every other call
 * rejects it.
 *
 * @throws HttpError 401 if the e-mail is unknown or the password is wrong, with the same response and
 *   duration for both; 429 after too many attempts
 * @throws AppError redis_unreachable if the attempts cannot be counted; the response is 503 then
 */
export async function login(call: Call): Promise<Response> {
  const { deps: { sql, log, tokens, passwords, throttle, gate }, request, address } = call;
  const { username, password } = readCredentials(call);
  const seconds = await throttle.acquire(address, username);
  if (seconds > 0) {
    throw new HttpError(429, "登录尝试过于频繁，请稍后再试", { "retry-after": String(seconds) });
  }
  const user = await gate.run(request, () => findPassword(sql, username));
  const outcome = await passwords.matches(password, user?.hashed_password);
  if (outcome === "malformed") {
    log.error("the stored password hash is not a bcrypt hash", { user_id: user?.legacy_id });
  }
  if (!user || outcome !== "same" || password.includes("\0")) throw badCredentials();
  await throttle.recordSuccess(address, username);
  const token = await tokens.sign({ sub: user.legacy_id, email: user.email });
  return respond("登录成功", JSON.stringify({ access_token: token, token_type: "bearer" }));
}
