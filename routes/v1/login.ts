/** `POST /auth/login` */
import { findPassword } from "../../db/people/users.ts";
import type { Json } from "../../json.ts";
import { answer, type Call } from "./call.ts";
import { describeField } from "./form.ts";
import { Faults, readString } from "./pydantic.ts";
import { Refusal, Rejection } from "./refusal.ts";

const wrong = () => new Refusal(401, "邮箱或密码错误", { "www-authenticate": "Bearer" });

/** A field's text, empty ones too; a file is none. */
function readField(call: Call, name: string, faults: Faults): string | undefined {
  const field = call.form.get(name);
  if (field === undefined || typeof field === "string") return field;
  return readString(describeField(field), ["body", name], faults);
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
    const before = faults.list.length;
    const value = readField(call, name, faults);
    if (value === undefined && faults.list.length === before) faults.addMissing(["body", name], null);
    return value;
  });
  for (const name of ["scope", "client_id", "client_secret"]) readField(call, name, faults);
  const [username, password] = required;
  if (faults.list.length > 0 || username === undefined || password === undefined) {
    throw new Rejection(faults.list);
  }
  return { username, password };
}

/**
 * Trades e-mail and password for a token; a disabled user gets one too, and is refused by every call after.
 *
 * @throws Refusal 401 the same, after the same time, for an unknown e-mail and a wrong password; 429 too many tries
 * @throws AppError redis_unreachable when tries cannot be counted: 503
 */
export async function login(call: Call): Promise<Response> {
  const { deps: { sql, log, tokens, passwords, throttle, gate }, request, address } = call;
  const { username, password } = readCredentials(call);
  const seconds = await throttle.take(address, username);
  if (seconds > 0) {
    throw new Refusal(429, "登录尝试过于频繁，请稍后再试", { "retry-after": String(seconds) });
  }
  const user = await gate.run(request, () => findPassword(sql, username));
  const outcome = await passwords.matches(password, user?.hashed_password);
  if (outcome === "malformed") {
    log.error("stored password hash is not bcrypt's", { user_id: user?.legacy_id });
  }
  if (!user || outcome !== "same" || password.includes("\0")) throw wrong();
  await throttle.succeeded(address, username);
  const token = await tokens.sign({ sub: user.legacy_id, email: user.email });
  return answer("登录成功", JSON.stringify({ access_token: token, token_type: "bearer" }));
}
