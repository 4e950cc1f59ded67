/** The documentation page of v2 in a browser. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { hasBrowser } from "../support/browser.ts";
import {
  assertClean,
  assertFits,
  authorize,
  documentedOperations,
  execute,
  listOperations,
  openDocs,
} from "../support/docs_page.ts";
import { password } from "../support/people.ts";
import { addPeople, call } from "./support/api.ts";

const ignore = !hasBrowser;

Deno.test({ name: "the page shows all operations without a violation of its policy", ignore }, async () => {
  await using api = await startApi();
  const { body: document } = await call(api, undefined, "GET", "/openapi.json");
  await using docs = await openDocs(`${api.origin}/api/v2/docs`);
  assert.deepEqual(await listOperations(docs.page), documentedOperations(document));
  await assertClean(docs, api.origin);
});

Deno.test({ name: "a user pastes an access token and reads their own account", ignore }, async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const login = await call(api, undefined, "POST", "/auth/login", { email: user.email, password });
  await using docs = await openDocs(`${api.origin}/api/v2/docs`);
  await authorize(docs.page, { "auth-bearer-value": login.body.access_token });
  const { status, body } = await execute(docs.page, "/api/v2/users/me");
  assert.equal(status, "200");
  assert.match(body, new RegExp(`"email": "${user.email}"`));
  await assertClean(docs, api.origin);
});

Deno.test(
  { name: "an operation shows who may call it, and fits a window of 360 pixels", ignore },
  async () => {
    await using api = await startApi();
    await using docs = await openDocs(`${api.origin}/api/v2/docs`, 360);
    await execute(docs.page, "/api/v2/system/status");
    await docs.page.getByText("x-who").first().waitFor();
    await assertFits(docs);
  },
);
