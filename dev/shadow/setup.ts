/** Checks before a run that both backends are set up alike: each must accept the tokens of the other. */
import { AppError } from "../../errors.ts";
import { valueAt } from "../../comparison/answer.ts";
import type { Side } from "./side.ts";

type SideName = Side["name"];

/** The answer of one backend to `GET /api/v1/users/me` with one token. */
export interface TokenCheck {
  /** The backend that issued the token or that it was given for; both for a token of `--token`. */
  owner: SideName | "both";
  /** The backend that was asked. */
  side: SideName;
  status: number;
  /** `detail` of the answer. */
  detail: string;
}

const path = "/api/v1/users/me";
/** Why a backend can reject a token with a valid signature, by the text that both backends answer. */
const userFaults: Record<string, string> = {
  "用户不存在": "does not know the user",
  "用户已禁用": "has disabled the user",
};

const nameToken = (owner: TokenCheck["owner"]): string =>
  owner === "both" ? "the given token" : `the token of the ${owner} backend`;

/** Describes what the backends do not share, once, and which of them rejects which token. */
function describeRefusals(refused: TokenCheck[]): string {
  const signatures = refused.filter(({ detail }) => userFaults[detail] === undefined);
  // A token with a wrong signature says nothing about its user.
  const parts = (signatures.length > 0 ? signatures : refused).map(({ owner, side, detail }) => {
    const answer = detail === "" ? "401" : `401 '${detail}'`;
    const fault = userFaults[detail];
    const does = fault === undefined ? `rejects ${nameToken(owner)}` : `${fault} of ${nameToken(owner)}`;
    return `the ${side} backend ${does} (${answer})`;
  });
  const shared = signatures.length > 0 ? "do not share SECRET_KEY" : "do not have the same users";
  return `the two backends ${shared}: ${parts.join(", and ")}`;
}

/**
 * Returns the reason why a run cannot start, or undefined if every backend accepts every token. A token that only one
 * backend accepts is a difference of set-up. A token that its own backend rejects is wrong usage.
 */
export function findSetupFault(checks: TokenCheck[]): AppError | undefined {
  const strange = checks.find(({ status }) => status !== 200 && status !== 401);
  if (strange) {
    const { side, owner, status, detail } = strange;
    const got = status === 0 ? detail : `${status}${detail && ` '${detail}'`}`;
    return new AppError(
      "usage",
      `requesting --${side} ${path} with ${nameToken(owner)}: expected 200 or 401, got ${got}`,
    );
  }
  const refused = checks.filter(({ status }) => status === 401);
  const isAccepted = (owner: TokenCheck["owner"]) =>
    checks.some((check) => check.owner === owner && check.status === 200);
  const useless = refused.find(({ owner, side }) => owner === side || !isAccepted(owner));
  if (useless) {
    const by = useless.owner === "both" ? "both backends reject" : `the ${useless.side} backend rejects`;
    return new AppError("usage", `signing in: ${by} ${nameToken(useless.owner)}: 401 '${useless.detail}'`);
  }
  if (refused.length === 0) return undefined;
  return new AppError("invalid_config", describeRefusals(refused));
}

async function checkToken(side: Side, variable: string, owner: TokenCheck["owner"]): Promise<TokenCheck> {
  const answer = await side.send({
    method: "GET",
    path,
    query: [],
    headers: [["Authorization", `Bearer \${${variable}}`]],
    body: null,
  });
  const { status, body } = answer;
  const text = body && "text" in body ? body.text.slice(0, 200) : valueAt(answer, "/detail");
  return { owner, side: side.name, status, detail: typeof text === "string" ? text : "" };
}

/**
 * Asks both backends whether they accept each token, with one read each. Each side must have its own token as `token`
 * and that of the other side as `other`.
 *
 * @throws AppError invalid_config if the backends are set up differently; usage if a token is not valid
 */
export async function requireSameSetup(old: Side, now: Side): Promise<void> {
  const isShared = old.variables.get("token") === now.variables.get("token");
  const checks = await Promise.all([
    checkToken(old, "token", isShared ? "both" : "old"),
    checkToken(now, "token", isShared ? "both" : "new"),
    ...(isShared ? [] : [checkToken(now, "other", "old"), checkToken(old, "other", "new")]),
  ]);
  const fault = findSetupFault(checks);
  if (fault) throw fault;
}
