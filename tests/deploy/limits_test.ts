/** The limits of nginx, HAProxy and the product agree: one table of numbers, read from all three. */
import assert from "node:assert/strict";
import { settings } from "../../settings.ts";
import { limitsDefault } from "../../routes/common/throttle.ts";
import { createRateLimits } from "../../routes/v2/kit/rate_limit.ts";
import { bodyBytesMax as v1Bytes, unauthenticatedBytesMax as v1LoginBytes } from "../../routes/v1/body.ts";
import {
  bodyBytesMax as v2Bytes,
  unauthenticatedBytesMax as v2LoginBytes,
} from "../../routes/v2/kit/body.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../../deploy/${path}`, import.meta.url));
const limits = read("nginx/limits.conf");
const server = read("nginx/server.conf");
const haproxy = read("haproxy/haproxy.cfg");

const number = (text: string, pattern: RegExp): number => {
  const found = pattern.exec(text)?.[1];
  assert.ok(found !== undefined, `${pattern.source} stands in the file`);
  const unit = found.at(-1)!;
  return parseFloat(found) * ({ k: 1024, m: 1024 * 1024 }[unit] ?? 1);
};
const locationSize = (location: string) =>
  number(server.slice(server.indexOf(`location ${location}`)), /client_max_body_size (\w+);/);

Deno.test("the sizes of bodies agree", () => {
  const rows: [string, number, number, RegExp][] = [
    [
      "v1",
      v1Bytes,
      number(limits, /client_max_body_size (\w+);/),
      /'\S*' hdr connection close if \{ req.body_size gt (\d+)/,
    ],
    ["v1 login", v1LoginBytes, locationSize("~ ^/api/v1/auth"), /if is_login \{ req.body_size gt (\d+)/],
    ["v2", v2Bytes, locationSize("/api/v2/"), /if is_v2 \{ req.body_size gt (\d+)/],
    ["v2 login", v2LoginBytes, locationSize("~ ^/api/v2/auth"), /if is_v2_login \{ req.body_size gt (\d+)/],
  ];
  for (const [name, product, nginx, pattern] of rows) {
    const found = name === "v1" ? /close if \{ req.body_size gt (\d+)/ : pattern;
    assert.deepEqual([nginx, number(haproxy, found)], [product, product], name);
  }
});

Deno.test("the rates of requests of one token agree with RATE_LIMIT and its bursts", () => {
  const { burst, perSecond } = createRateLimits(Number(settings.RATE_LIMIT.default)).bucket;
  assert.equal(number(limits, /zone=requests:\w+ rate=(\d+)r\/s/), perSecond);
  for (const [, found] of server.matchAll(/limit_req zone=requests burst=(\d+)/g)) {
    assert.equal(Number(found), burst);
  }
  const window = number(haproxy, /table requests[\s\S]*?^backend requests\n.*http_req_rate\((\d+)s\)/m);
  assert.equal(number(haproxy, /sc0_http_req_rate gt (\d+)/), burst);
  assert.equal(burst / window, perSecond);
});

Deno.test("the rates of sign-ins agree with what the product accepts from all addresses", () => {
  const { burst, perSecond } = limitsDefault.overall;
  assert.equal(number(limits, /zone=logins:\w+ rate=(\d+)r\/s/), perSecond);
  for (const [, found] of server.matchAll(/limit_req zone=logins burst=(\d+)/g)) {
    assert.equal(Number(found), burst);
  }
  const window = number(haproxy, /^backend logins\n.*http_req_rate\((\d+)s\)/m);
  assert.equal(number(haproxy, /sc1_http_req_rate gt (\d+)/), burst);
  assert.equal(burst / window, perSecond);
});

Deno.test("a write is held longer by the proxies than by the product", () => {
  const holdMs = Number(settings.HOLD_MS.default);
  assert.ok(number(haproxy, /set-timeout server (\d+)s/) * 1000 > holdMs);
  assert.ok(number(read("nginx/proxy.conf"), /proxy_read_timeout (\d+)s/) * 1000 > holdMs);
});
