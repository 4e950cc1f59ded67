/** The documentation page of v1 in a browser. */
import assert from "node:assert/strict";
import openapi from "../../routes/v1/openapi.json" with { type: "json" };
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
import { addUsers, password } from "../support/people.ts";

const ignore = !hasBrowser;

for (const path of ["/docs", "/docs/", "/redoc"]) {
  Deno.test({ name: `${path} shows all operations without a violation of its policy`, ignore }, async () => {
    await using api = await startApi();
    await using docs = await openDocs(api.origin + path);
    assert.deepEqual(await listOperations(docs.page), documentedOperations(openapi));
    assert.equal(await docs.page.title(), "Backend API");
    await assertClean(docs, api.origin);
  });
}

Deno.test({ name: "a user signs in on /docs and reads their own account", ignore }, async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  await using docs = await openDocs(`${api.origin}/docs`);
  assert.equal((await execute(docs.page, "/health")).status, "200");
  await authorize(docs.page, { "username:": user.email, "password:": password });
  const { status, body } = await execute(docs.page, "/api/v1/users/me");
  assert.equal(status, "200");
  assert.match(body, new RegExp(`"email": "${user.email}"`));
  await assertClean(docs, api.origin);
});

Deno.test({ name: "/docs fits a window of 360 pixels", ignore }, async () => {
  await using api = await startApi();
  await using docs = await openDocs(`${api.origin}/docs`, 360);
  await execute(docs.page, "/health");
  await assertFits(docs);
});
