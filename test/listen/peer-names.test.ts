import { X509Certificate } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { peerNames } from "../../src/listen/peer-names.ts";
import { createAuthority, type CertificateRequest } from "../e2e/certificates.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const authority = createAuthority();
const namesOf = (request: CertificateRequest) => peerNames(new X509Certificate(authority.issue(request).cert));

const cases: readonly (readonly [
  title: string,
  request: CertificateRequest,
  spiffe: string | undefined,
  dns: string[],
])[] = [
  ["a SPIFFE id", { uris: ["spiffe://a.example/ns/x/sa/y"] }, "spiffe://a.example/ns/x/sa/y", []],
  ["names of DNS, in lower case", { dns: ["A.Example", "b.example"] }, undefined, ["a.example", "b.example"]],
  ["both", { uris: ["spiffe://a.example/x"], dns: ["a.example"] }, "spiffe://a.example/x", ["a.example"]],
  ["two URIs are no SVID", { uris: ["spiffe://a.example/x", "spiffe://a.example/y"] }, undefined, []],
  ["a URI of another kind names nobody", { uris: ["https://a.example/"] }, undefined, []],
  ["a wildcard names nobody", { dns: ["*.a.example", "b.example"] }, undefined, ["b.example"]],
  ["addresses and the common name name nobody", { name: "a.example", ips: ["10.0.0.1"] }, undefined, []],
  [
    "what looks like the end of a value",
    { uris: ["spiffe://a.example/x, DNS:b.example"] },
    "spiffe://a.example/x, DNS:b.example",
    [],
  ],
  ["what looks like a quoted value", { dns: ['a", DNS:b.example, URI:"'] }, undefined, ['a", dns:b.example, uri:"']],
];

for (const [title, request, spiffe, dns] of cases) {
  test(`names of a certificate: ${title}`, (t) => {
    t.deepEqual(namesOf(request), { spiffe, dns });
  });
}

test("whatever stands in a certificate, it gives no name that is not one of its values", (t) => {
  const value = fc.string({
    unit: fc.constantFrom(..."ab.:/,\"' \\*=DNSURIspiffe\u0000\n"),
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 }), fc.array(value, { maxLength: 3 }), (uris, dns) => {
      const found = namesOf({ uris: uris.map((uri) => `spiffe://${uri}`), dns });
      const given = dns.map((name) => name.toLowerCase());
      t.deepEqual(
        found.dns.filter((name) => !given.includes(name)),
        [],
      );
      if (found.spiffe !== undefined)
        t.deepEqual(
          [found.spiffe],
          uris.map((uri) => `spiffe://${uri}`),
        );
    }),
    { numRuns: fuzzRuns(100) },
  );
});

test("what is written in a way that is not known names nobody", (t) => {
  for (const subjectAltName of ["", "nothing", 'DNS:"a', 'DNS:"\\q"', 'DNS:a b"c', ":::", "DNS:"]) {
    const { spiffe, dns } = peerNames({ subjectAltName });
    t.is(spiffe, undefined);
    t.deepEqual(
      dns.filter((name) => name !== ""),
      [],
      subjectAltName,
    );
  }
});
