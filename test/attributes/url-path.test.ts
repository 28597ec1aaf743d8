import test from "ava";
import fc from "fast-check";
import { Fault } from "../../src/attributes/fault.ts";
import { hasEncodedSlash, normalisedPath } from "../../src/attributes/url-path.ts";
import { fuzzRuns } from "../fuzz-runs.ts";

const cases: readonly [what: string, path: string, normalised: string | RegExp][] = [
  ["a plain path is itself", "/api/v1/orders/42", "/api/v1/orders/42"],
  ["the root is itself", "/", "/"],
  ["delimiters of segments stay plain", "/a:b@c!$&'()*+,=d", "/a:b@c!$&'()*+,=d"],
  ["a slash at the end stays", "/a/", "/a/"],
  ["a file that begins with a dot is no dot segment", "/.well-known/...", "/.well-known/..."],
  ["the query is cut", "/a?b=/../c", "/a"],
  ["a query alone leaves the root", "/?x", "/"],
  ["a fragment is in no request, and services read it in different ways", "/a#/../admin", /fragment/],
  ["a fragment of an absolute target likewise", "http://shop.example#/admin", /fragment/],
  ["a fragment behind a blank segment likewise", "//a#b", /fragment/],
  ["a fragment behind the query says nothing of the path", "/a?x#b", "/a"],
  ["an encoded number sign stays encoded", "/a%23b", "/a%23b"],
  ["nothing is the root", "", "/"],
  ["a query without a path is the root", "?x", "/"],
  ["an absolute target has its path", "http://shop.example/admin?x", "/admin"],
  ["an absolute target without a path has the root", "https://shop.example", "/"],
  ["an asterisk is itself", "*", "*"],
  ["a path without a slash gets one", "admin", "/admin"],

  ["several slashes are one", "//admin///x", "/admin/x"],
  ["slashes at the end are one", "/admin//", "/admin/"],
  ["a host before the path is a segment", "//evil.example/admin", "/evil.example/admin"],
  ["one dot is nothing", "/./admin/./x", "/admin/x"],
  ["one dot at the end leaves a slash", "/admin/.", "/admin/"],
  ["two dots go back", "/public/../admin", "/admin"],
  ["two dots at the end leave a slash", "/a/b/..", "/a/"],
  ["two dots do not go beyond the root", "/../../admin", "/admin"],
  ["two dots alone are the root", "/..", "/"],
  ["encoded dots are dots", "/public/%2e%2E/admin", "/admin"],
  ["half encoded dots are dots", "/public/.%2e/admin/%2e", "/admin/"],

  ["letters, digits and marks are decoded", "/%61%64min%2d%5f%7E%30", "/admin-_~0"],
  ["case of letters stays", "/Admin", "/Admin"],
  ["digits of escapes are in upper case", "/a%c3%a9%3a", "/a%C3%A9%3A"],
  ["characters beyond ASCII are escaped", "/é/😀", "/%C3%A9/%F0%9F%98%80"],
  ["half a character is replaced", "/a\ud800b", "/a%EF%BF%BDb"],
  ["blanks and quotes are escaped", '/a b"<>', "/a%20b%22%3C%3E"],
  ["an escape is decoded once", "/%2561dmin", "/%2561dmin"],
  ["two escapes in one are not decoded", "/%252e%252e/admin", "/%252e%252e/admin"],
  ["a percent sign that begins no escape is one", "/100%/%zz%2", "/100%25/%25zz%252"],
  ["what decoding brings about is not decoded again", "/%%32%65", "/%252e"],

  ["an encoded slash stays encoded", "/a%2fb", "/a%2Fb"],
  ["an encoded backslash stays encoded", "/a%5cb", "/a%5Cb"],
  ["a backslash is an encoded one", "/a\\b", "/a%5Cb"],
  ["parameters of a segment are cut", "/admin;v=1/users;x", "/admin/users"],
  ["parameters alone are an empty segment", "/;a/admin", "/admin"],
  ["an encoded semicolon begins no parameters", "/admin%3bx", "/admin%3Bx"],

  ["dots with parameters can be read in two ways", "/public/..;/admin", /dot segment/],
  ["one dot with parameters likewise", "/public/.;x/admin", /dot segment/],
  ["encoded dots with parameters likewise", "/public/%2e%2e;x=1/admin", /dot segment/],
  ["dots after an empty segment likewise", "/a//../admin", /dot segment/],
  ["dots after parameters alone likewise", "/a/;x/../admin", /dot segment/],
  ["dots beside an encoded slash likewise", "/public%2f..%2Fadmin", /dot segment/],
  ["dots beside a backslash likewise", "/public\\..\\admin", /dot segment/],
  ["dots back over an encoded slash likewise", "/a%2fb/../admin", /dot segment/],
  ["dots with parameters behind an encoded slash likewise", "/a%2f..;x", /dot segment/],
  ["an encoded NUL likewise", "/admin%00.png", /NUL/],
  ["a NUL likewise", "/admin\0.png", /NUL/],
  ["bytes that are no UTF-8 likewise", Buffer.from("/public/\xc0\xae\xc0\xae/admin", "latin1").toString(), /UTF-8/],
  ["overlong UTF-8 likewise", "/%c0%ae%c0%ae/admin", /UTF-8/],
];

for (const [what, path, normalised] of cases) {
  test(`${what}: ${JSON.stringify(path)}`, (t) => {
    const result = normalisedPath(path);
    if (typeof normalised === "string") {
      t.is(result, normalised);
      t.is(normalisedPath(normalised), normalised, "what is normalised stays as it is");
    } else {
      t.true(result instanceof Fault);
      t.regex((result as Fault).message, normalised);
    }
  });
}

test("an encoded slash or backslash is seen", (t) => {
  const seen = ["/a%2fb", "/a%5Cb", "/a\\b", "/a", "/%252f", "/a/b"].map((path) =>
    hasEncodedSlash(normalisedPath(path) as string),
  );
  t.deepEqual(seen, [true, true, true, false, false, false]);
});

const piece = fc.constantFrom(..."/ / / . .. ; %2e %2E %2f %5c \\ % %25 %00 %c0 a admin %61 é ? # : //".split(" "));
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));

test("normalising twice is normalising once, and the result is of one form", (t) => {
  fc.assert(
    fc.property(target, (path) => {
      const once = normalisedPath(path);
      if (once instanceof Fault || once === "*") return;
      t.is(normalisedPath(once), once);
      t.regex(once, /^\/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-F]{2})*$/);
      t.notRegex(once, /\/\/|\/\.{1,2}(?:\/|$)/);
    }),
    { numRuns: fuzzRuns(3000) },
  );
});

test("how a path is written does not matter: escapes, their case, slashes and dots lead to one form", (t) => {
  const segment = fc.stringMatching(/^[a-z0-9~_-]{1,6}$/);
  const written = fc.array(fc.tuple(segment, fc.nat(5), fc.boolean()), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(written, (segments) => {
      const path = segments.map(([text]) => `/${text}`).join("");
      const disguised = segments
        .map(([text, how, upper]) => {
          const hex = (character: string): string => {
            const digits = character.charCodeAt(0).toString(16);
            return `%${upper ? digits.toUpperCase() : digits}`;
          };
          if (how === 0) return `/${[...text].map(hex).join("")}`;
          if (how === 1) return `//${text}`;
          if (how === 2) return `/./${text}`;
          if (how === 3) return `/x/%2e%2e/${text}`;
          if (how === 4) return `/${text};p=1`;
          return `/${text}`;
        })
        .join("");
      t.is(normalisedPath(path), path);
      t.is(normalisedPath(disguised), path);
    }),
    { numRuns: fuzzRuns(1000) },
  );
});

test("a path of a million tricks is normalised in one go", (t) => {
  t.is(normalisedPath(`${"/a/..".repeat(200_000)}/b`), "/b");
  t.is(normalisedPath(`/${"%2e".repeat(333_333)}`), `/${".".repeat(333_333)}`);
});
