import test from "ava";
import { isSecretName, maskedQuery } from "../../src/util/secret-name.ts";

const secrets = [
  ...["authorization", "Proxy-Authorization", "cookie", "set-cookie", "x-api-key", "apiKey", "request.api_key"],
  ...[
    "password",
    "db_passwd",
    "access_token",
    "client_secret",
    "x-amz-credential",
    "X-Amz-Signature",
    "x-jwt-assertion",
  ],
  ...["sig", "sid", "x-session-id", "PHPSESSION", "x-csrf", "otp", "user_pin", "bearer"],
];
const others = [
  "host",
  "accept",
  "user-agent",
  "content-type",
  "x-request-id",
  "author",
  "design",
  "spin",
  "resid",
  "x",
];

for (const name of secrets) test(`${name} is the name of a secret`, (t) => t.true(isSecretName(name)));
for (const name of others) test(`${name} is no name of a secret`, (t) => t.false(isSecretName(name)));

const none: ReadonlySet<string> = new Set();

for (const name of secrets) {
  test(`a parameter ${name} is masked, escaped or not, wherever it stands`, (t) => {
    const escaped = name.replace(/^./, (c) => `%${c.charCodeAt(0).toString(16)}`);
    for (const written of [name, name.toUpperCase(), escaped]) {
      t.is(maskedQuery(`/a?${written}=v`, none), `/a?${written}=***`);
      t.is(maskedQuery(`/a;${written}=v;b?b=1&${written}=w#c`, none), `/a;${written}=***;b?b=1&${written}=***#c`);
      t.is(maskedQuery(`/a?${written}=v`, new Set([name.toLowerCase()])), `/a?${written}=v`);
    }
  });
}

for (const text of ["/a?b=1&author=c&spin=2", "/token=a", "/a?token", "/a?x=token", "/?%zz=1&%=2", ""]) {
  test(`${JSON.stringify(text)} is shown as it is`, (t) => t.is(maskedQuery(text, none), text));
}
