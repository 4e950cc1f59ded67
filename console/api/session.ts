/**
 * The session of the person. The access token is only in memory; the refresh token is in a cookie that scripts cannot
 * read. All tabs of the browser share one session.
 *
 * States: `starting` until the first renewal has answered · `signed_out` · `signed_in`, where `isExpired` asks for the
 * password again while the page stays as it is · `shared`, with the token of a share, which `isEnded` when the server
 * refuses it.
 */
import { signal } from "@preact/signals";
import type { components } from "../../routes/v2/generated/schema.ts";
import { noteFailure, noteResponse } from "./network.ts";
import { ApiError, asApiError, toApiError } from "./problem.ts";

export type User = components["schemas"]["Me"];
export type Share = components["schemas"]["ShareAbout"];

export type Session =
  | { state: "starting"; failure?: ApiError }
  | { state: "signed_out" }
  | { state: "signed_in"; user: User; isExpired: boolean }
  | { state: "shared"; token: string; share?: Share; isEnded: boolean };

export const session = signal<Session>({ state: "starting" });

interface Access {
  token: string;
  /** Time by `performance.now()`, which no change of the clock moves. */
  goodUntil: number;
}

interface Tokens {
  access_token: string;
  expires_in: number;
}

type Message =
  | { kind: "tokens"; tokens: Tokens; user: User }
  | { kind: "signed_out" };

const authPath = "/api/v2/auth/browser";
/** A token is renewed this long before it expires. */
const spareMs = 30_000;

let access: Access | undefined;
/** Resolves the requests that wait for the person to sign in again. */
let signedInAgain = Promise.withResolvers<void>();

const channel = new BroadcastChannel("contactsheet session");

function setAccess({ access_token, expires_in }: Tokens): void {
  access = { token: access_token, goodUntil: performance.now() + expires_in * 1000 };
}

/** Takes over the session of another tab, or its end. */
channel.onmessage = ({ data }: MessageEvent<Message>) => {
  if (session.value.state === "shared") return;
  if (data.kind === "signed_out") endLocally();
  else {
    setAccess(data.tokens);
    enter(data.user);
  }
};

function endLocally(): void {
  access = undefined;
  session.value = { state: "signed_out" };
}

/** Shows the console to a user. Pages of another user before are left. */
function enter(user: User): void {
  const before = session.value;
  session.value = { state: "signed_in", user, isExpired: false };
  signedInAgain.resolve();
  signedInAgain = Promise.withResolvers();
  if (before.state === "signed_in" && before.user.id !== user.id) location.assign("/console");
}

async function send(request: RequestInfo, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(request, init);
    noteResponse(response);
    return response;
  } catch (error) {
    if (error instanceof TypeError) noteFailure();
    throw error;
  }
}

/** Posts to a route that uses the cookie. @throws ApiError */
async function post(path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { "x-console": "1" };
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    const response = await send(authPath + path, {
      method: "POST",
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw toApiError(response, await response.json().catch(() => undefined));
    return response;
  } catch (error) {
    throw asApiError(error);
  }
}

/** Reads a resource with a token. @throws ApiError */
async function readAs<T>(token: string, path: string): Promise<T> {
  const response = await send(`/api/v2${path}`, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw toApiError(response, await response.json().catch(() => undefined));
  return await response.json();
}

/** Enters with new tokens, in all tabs. */
async function acceptTokens(tokens: Tokens): Promise<void> {
  setAccess(tokens);
  const { value } = session;
  const user = value.state === "signed_in" && !value.isExpired
    ? value.user
    : await readAs<User>(tokens.access_token, "/users/me");
  enter(user);
  channel.postMessage({ kind: "tokens", tokens, user } satisfies Message);
}

/** Runs one renewal at a time over all tabs. Browsers have locks on https and localhost only. */
async function runAlone(work: () => Promise<void>): Promise<void> {
  if (navigator.locks) await navigator.locks.request("contactsheet session", work);
  else await work();
}

let renewing: Promise<void> | undefined;

/**
 * Gets a new access token unless another tab has got one meanwhile.
 *
 * @param refused the token that was refused or is about to expire
 * @throws ApiError unauthenticated if the session has ended
 */
async function renew(refused: string | undefined): Promise<void> {
  renewing ??= runAlone(async () => {
    if (access !== undefined && access.token !== refused) return;
    await acceptTokens(await (await post("/refresh")).json());
  }).finally(() => (renewing = undefined));
  await renewing;
}

/** Starts: continues the session of the browser if there is one. */
export async function startSession(): Promise<void> {
  try {
    await renew(undefined);
  } catch (error) {
    const failure = asApiError(error);
    if (session.value.state !== "starting") return;
    session.value = failure.code === "unauthenticated" || failure.code === "forbidden"
      ? { state: "signed_out" }
      : { state: "starting", failure };
  }
}

/** Signs in. @throws ApiError unauthenticated, too_many_requests, busy or offline */
export async function signIn(email: string, password: string): Promise<void> {
  const response = await post("/login", { email, password });
  const { value } = session;
  if (value.state === "signed_in") session.value = { ...value, isExpired: true };
  await acceptTokens(await response.json());
}

/** Ends the session on the server and in all tabs. @throws ApiError if the server does not answer */
export async function signOut(): Promise<void> {
  await post("/logout");
  endLocally();
  channel.postMessage({ kind: "signed_out" } satisfies Message);
}

/** Tells after a reload that this tab had opened a share, whose token is gone. */
const sharedFlag = "contactsheet shared";

/** Whether this tab had opened a share before it was loaded again. */
export const wasShared = (): boolean => sessionStorage.getItem(sharedFlag) !== null;

/**
 * Uses the token of a share instead of a session, until the page is left.
 *
 * @returns what the share opens
 * @throws ApiError unauthenticated if the share has ended
 */
export async function enterShare(token: string): Promise<Share> {
  session.value = { state: "shared", token, isEnded: false };
  sessionStorage.setItem(sharedFlag, "1");
  try {
    const share: Share = await readAs(token, "/shares/me");
    session.value = { state: "shared", token, share, isEnded: false };
    return share;
  } catch (error) {
    throw asApiError(error);
  }
}

/** Leaves a share for the page where one signs in. */
export function leaveShare(): void {
  sessionStorage.removeItem(sharedFlag);
  session.value = { state: "signed_out" };
}

/** Returns the token for a request. Waits for a renewal where the present token is about to expire. */
async function currentToken(): Promise<string> {
  const { value } = session;
  if (value.state === "shared") return value.token;
  if (value.state === "signed_in" && value.isExpired) await signedInAgain.promise;
  if (access === undefined || access.goodUntil - spareMs < performance.now()) {
    await renewOrWait(access?.token);
  }
  return access!.token;
}

/** Renews; if the session has ended, waits until the person has signed in again. */
async function renewOrWait(refused: string | undefined): Promise<void> {
  try {
    await renew(refused);
  } catch (error) {
    const { value } = session;
    if (!(error instanceof ApiError) || error.code !== "unauthenticated" || value.state !== "signed_in") {
      throw error;
    }
    session.value = { ...value, isExpired: true };
    await signedInAgain.promise;
  }
}

const userNow = (): string | undefined =>
  session.value.state === "signed_in" ? session.value.user.id : undefined;

/**
 * Fetches with the session's token. A refused token is renewed once, and a session that has ended waits for the person
 * to sign in again, so that no request is lost.
 *
 * @throws AbortError if another user has signed in meanwhile, in whose name nothing of the first is sent
 */
export async function authorizedFetch(request: Request): Promise<Response> {
  const user = userNow();
  for (let isRetry = false;; isRetry = true) {
    const token = await currentToken();
    if (userNow() !== user) throw new DOMException("another user has signed in", "AbortError");
    const attempt = request.clone();
    attempt.headers.set("authorization", `Bearer ${token}`);
    const response = await send(attempt, {});
    const { value } = session;
    if (response.status === 401 && value.state === "shared") session.value = { ...value, isEnded: true };
    if (response.status !== 401 || value.state === "shared" || isRetry) return response;
    await renewOrWait(token);
  }
}

/** Whether the user has one of these roles. */
export function hasRole(...roles: User["roles"]): boolean {
  const { value } = session;
  return value.state === "signed_in" && value.user.roles.some((role) => roles.includes(role));
}
