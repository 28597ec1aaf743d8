import { once } from "node:events";
import { connect } from "node:http2";
import test from "ava";
import fc from "fast-check";
import { ConnectionError } from "../../../src/wire/http2/frame.ts";
import { HeaderDecoder } from "../../../src/wire/http2/header-decoder.ts";
import { headersFrame } from "../../../src/wire/http2/header-encoder.ts";
import type { RequestFields } from "../../../src/wire/http2/request-fields.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { okHeaders, serveHttp2 } from "./serve.ts";

const ample = 1 << 20;

function decode(decoder: HeaderDecoder, hex: string): string[] {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  // Behind and before the block stands something else, as on a connection.
  const around = Buffer.concat([Buffer.of(0xff), bytes, Buffer.of(0xff)]);
  return [...decoder.decode(around, 1, around.length - 1).list];
}

const dated = (second: number) => `Mon, 21 Oct 2013 20:13:${second} GMT`;
const request = ["GET", "http", "/", "www.example.com"];
const pseudo = ([method, scheme, path, authority]: string[]) =>
  [":method", method!, ":scheme", scheme!, ":path", path!, ":authority", authority!] as string[];

/** RFC 7541, appendix C: blocks that come on one connection, and what they say. */
const examples: Record<string, readonly (readonly [block: string, fields: string[]])[]> = {
  "C.2.1": [["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key", "custom-header"]]],
  "C.2.2": [["040c 2f73 616d 706c 652f 7061 7468", [":path", "/sample/path"]]],
  "C.2.3": [["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password", "secret"]]],
  "C.2.4": [["82", [":method", "GET"]]],
  "C.3": [
    ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", pseudo(request)],
    ["8286 84be 5808 6e6f 2d63 6163 6865", [...pseudo(request), "cache-control", "no-cache"]],
    [
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      [...pseudo(["GET", "https", "/index.html", "www.example.com"]), "custom-key", "custom-value"],
    ],
  ],
  "C.4": [
    ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", pseudo(request)],
    ["8286 84be 5886 a8eb 1064 9cbf", [...pseudo(request), "cache-control", "no-cache"]],
    [
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      [...pseudo(["GET", "https", "/index.html", "www.example.com"]), "custom-key", "custom-value"],
    ],
  ],
  // The table of these has 256 bytes, so that entries are evicted: an update says so first.
  "C.5": [
    [
      "3fe1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120" +
        "474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      [":status", "302", "cache-control", "private", "date", dated(21), "location", "https://www.example.com"],
    ],
    [
      "4803 3330 37c1 c0bf",
      [":status", "307", "cache-control", "private", "date", dated(21), "location", "https://www.example.com"],
    ],
    [
      "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d" +
        "4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076" +
        "6572 7369 6f6e 3d31",
      [
        ...[":status", "200", "cache-control", "private", "date", dated(22), "location", "https://www.example.com"],
        ...["content-encoding", "gzip", "set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
      ],
    ],
  ],
  "C.6": [
    [
      "3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718" +
        "63c7 8f0b 97c8 e9ae 82ae 43d3",
      [":status", "302", "cache-control", "private", "date", dated(21), "location", "https://www.example.com"],
    ],
    [
      "4883 640e ffc1 c0bf",
      [":status", "307", "cache-control", "private", "date", dated(21), "location", "https://www.example.com"],
    ],
    [
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf" +
        "cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      [
        ...[":status", "200", "cache-control", "private", "date", dated(22), "location", "https://www.example.com"],
        ...["content-encoding", "gzip", "set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
      ],
    ],
  ],
};

for (const [name, blocks] of Object.entries(examples)) {
  test(`header blocks of RFC 7541, ${name}, are read as it says`, (t) => {
    const decoder = new HeaderDecoder(ample);
    for (const [block, fields] of blocks) t.deepEqual(decode(decoder, block), fields);
  });
}

const broken: Record<string, string> = {
  "the index 0": "80",
  "an index beyond the tables": "be",
  "a name beyond the tables": "7e 01 61",
  "an integer that does not end": "ff ff ff ff ff ff ff ff 01",
  "an integer that is cut": "ff",
  "a text that is cut": "40 05 61 62",
  "a name without a value": "40 01 61",
  "a table larger than allowed": "3f e2 1f",
  "a table size update after a field": "82 20",
  "EOS within a text": "40 84 ff ff ff ff 01 61",
  "padding of more than seven bits": "40 82 1f ff 01 61",
  "padding that is not ones": "40 81 00 01 61",
};

for (const [what, block] of Object.entries(broken)) {
  test(`${what} breaks a header block`, (t) => {
    const error = t.throws(() => decode(new HeaderDecoder(ample), block), { instanceOf: ConnectionError });
    t.is(error.code, 9);
  });
}

test("fields beyond the limit are thrown away, and the table stays right", (t) => {
  const decoder = new HeaderDecoder(100);
  const large = Buffer.concat([
    Buffer.from("4001610a", "hex"),
    Buffer.alloc(10, "b"),
    Buffer.from("be".repeat(9), "hex"),
  ]);
  const { list, tooLarge } = decoder.decode(large, 0, large.length);
  t.true(tooLarge);
  t.true(list.length < 10);
  t.deepEqual(decode(decoder, "be"), ["a", "b".repeat(10)]);
});

test("what we write is what a decoder reads, and enters no table", (t) => {
  const field = fc.tuple(
    fc.stringMatching(/^[a-z][a-z0-9-]{0,200}$/),
    fc.string({ unit: "grapheme-ascii", maxLength: 300 }),
  );
  fc.assert(
    fc.property(fc.array(field), (fields) => {
      const all = [[":status", "200"] as const, [":status", "418"] as const, ...fields];
      const frame = headersFrame(all, false);
      const decoder = new HeaderDecoder(ample);
      t.deepEqual([...decoder.decode(frame, 9, frame.length).list], all.flat());
      t.is(decoder.version, 0);
    }),
    { numRuns: fuzzRuns(100) },
  );
});

test("random bytes are fields or COMPRESSION_ERROR, and nothing else", (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HeaderDecoder(1000);
      try {
        for (const block of blocks) decoder.decode(Buffer.from(block), 0, block.length);
      } catch (error) {
        t.true(error instanceof ConnectionError && error.code === 9);
      }
    }),
    { numRuns: fuzzRuns(2000) },
  );
});

test("whatever fields nghttp2 sends are read as they were meant, block after block", async (t) => {
  const seen: (readonly string[])[] = [];
  const { port } = await serveHttp2(t, {
    read: (fields) => fields,
    begin(fields: RequestFields, stream) {
      seen.push(fields.list);
      stream.sendHeaders(okHeaders);
      stream.sendData(Buffer.from("read"), true);
      return { data() {}, end() {}, isReady: true, drained() {}, gone() {} };
    },
  });
  const session = connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  // Few names and values, so that they are found in the table, are evicted and come again.
  const name = fc.oneof(fc.constantFrom("x-a", "x-b", "user-agent", "te"), fc.stringMatching(/^x-[a-z0-9_.~-]{1,30}$/));
  const value = fc.oneof(
    fc.constantFrom("", "trailers", "a".repeat(900)),
    fc.stringMatching(/^[!-~]([ -~]{0,80}[!-~])?$/),
    fc.stringMatching(/^[!-~¡-ÿ]([ -~¡-ÿ]{0,40}[!-~¡-ÿ])?$/),
  );
  const fields = fc.dictionary(name, value, { maxKeys: 12 }).map((entries) => ({ ...entries, te: "trailers" }));
  await fc.assert(
    fc.asyncProperty(fields, async (headers: Record<string, string>) => {
      seen.length = 0;
      const request = session.request({ ":path": "/", ...headers });
      request.resume();
      await once(request, "close");
      const list = seen[0]!;
      const read = Object.fromEntries(list.flatMap((text, i) => (i % 2 === 0 ? [[text, list[i + 1]!] as const] : [])));
      t.deepEqual(read, headers);
    }),
    { numRuns: fuzzRuns(300) },
  );
});
