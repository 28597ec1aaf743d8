import test from "ava";
import { isSecretName } from "../../src/util/secret-name.ts";

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
