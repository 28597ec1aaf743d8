import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import test from "ava";
import fc from "fast-check";
import type { Bag } from "../../../src/attributes/bag.ts";
import { openGate } from "../../../src/listen/gate.ts";
import { createExtAuthzDoor } from "../../../src/wire/envoy/ext-authz/ext-authz-door.ts";
import { CheckRequest as AuthzRequest } from "../../../src/wire/gen/envoy/service/auth/v3/external_auth.ts";
import { CheckRequest } from "../../../src/wire/gen/istio/mixer/v1/mixer.ts";
import { CheckRequest as StreamRequest } from "../../../src/wire/gen/weir/v1/weir.ts";
import { createGrpcServer } from "../../../src/wire/grpc/server.ts";
import { frame, frameType, uint31At } from "../../../src/wire/http2/frame.ts";
import { headersFrame } from "../../../src/wire/http2/header-encoder.ts";
import { globalWords } from "../../../src/wire/mixer/dictionary.ts";
import { createMixerDoor } from "../../../src/wire/mixer/mixer-door.ts";
import { createStreamDoor } from "../../../src/wire/stream/stream-door.ts";
import { createAuthority } from "../../e2e/certificates.ts";
import { fuzzRuns } from "../../fuzz-runs.ts";
import { data, hello } from "../http2/wire.ts";
import { compress } from "../mixer/compress.ts";
import { contents, fakeHub, refused } from "./fake-session.ts";
import { recordingLog, recordingObserver } from "./harness.ts";

/** What requests bring, each its own: the number of the request is in all of it. */
const ipOf = (n: number): number[] => [10, n >> 16, (n >> 8) & 255, n & 255];
const bodyOf = (n: number, length: number): Uint8Array => new Uint8Array(length).fill(n % 251);
const keyOf = (n: number, length: number): string => `${n}-`.repeat(Math.ceil(length / 8));

const doors = {
  mixer: {
    path: "/istio.mixer.v1.Mixer/Check",
    isStream: false,
    encode: (n: number, length: number) =>
      CheckRequest.encode(
        CheckRequest.fromPartial({
          attributes: compress(sent(n, length)),
          globalWordCount: globalWords.length,
        } as object),
      ).finish(),
  },
  extAuthz: {
    path: "/envoy.service.auth.v3.Authorization/Check",
    isStream: false,
    encode: (n: number, length: number) =>
      AuthzRequest.encode(
        AuthzRequest.fromPartial({
          attributes: {
            source: { address: { socketAddress: { address: ipOf(n).join(".") } } },
            destination: { labels: new Map([["app", `app-${n}`]]) },
            request: {
              http: {
                path: `/orders/${n}/${length}`,
                headers: new Map([["x-key", keyOf(n, length)]]),
                rawBody: bodyOf(n, length),
              },
            },
          },
        } as object),
      ).finish(),
  },
  stream: {
    path: "/weir.v1.Weir/Check",
    isStream: true,
    encode: (n: number, length: number) => {
      const words: string[] = [];
      const attributes = { ...compress(sent(n, length), words), words: undefined };
      return StreamRequest.encode(
        StreamRequest.fromPartial({ index: BigInt(n), dictionary: { first: 0, words }, attributes } as object),
      ).finish();
    },
  },
} as const;

function sent(n: number, length: number) {
  return {
    "request.path": { string: `/orders/${n}/${length}` },
    "source.ip": { bytes: ipOf(n) },
    "request.raw_body": { bytes: [...bodyOf(n, length)] },
    "request.headers": { map: { "x-key": keyOf(n, length) } },
    "destination.labels": { map: { app: `app-${n}` } },
  } as const;
}

const reads = ["source.ip", "request.path", "request.raw_body", "request.headers[x-key]", "destination.labels[*]"];

/** The number of the request that a bag is of; -1 where its values are those of several. */
function numberOf(bag: Bag): number {
  const held = contents(bag);
  const [n, length] = String(held["request.path"]).split("/").slice(2).map(Number) as [number, number];
  const body = held["request.raw_body"] as Uint8Array | undefined;
  const isWhole =
    String(held["source.ip"]) === ipOf(n).join(".") &&
    Buffer.compare(body ?? new Uint8Array(), bodyOf(n, length)) === 0 &&
    (held["request.headers[x-key]"] ?? "") === keyOf(n, length) &&
    (held["destination.labels"] as Map<string, string>).get("app") === `app-${n}`;
  return isWhole ? n : -1;
}

interface Peer {
  readonly door: keyof typeof doors;
  readonly isTls: boolean;
  /** How long what each message carries is. */
  readonly lengths: readonly number[];
  /** How many bytes are written at once, by turns. */
  readonly cuts: readonly number[];
  /** The end of a call comes by itself, after all messages. */
  readonly endsLater: boolean;
  readonly isZipped: boolean;
}

/** What a peer writes, and which number it awaits on which stream: of a stream of messages, in which order. */
function written(
  { door, lengths, endsLater, isZipped }: Peer,
  first: number,
): { bytes: Buffer; awaited: Map<number, number[]> } {
  const { path, isStream, encode } = doors[door];
  const awaited = new Map<number, number[]>();
  const heads: Buffer[] = [];
  const parts: Buffer[][] = [];
  for (const [i, length] of lengths.entries()) {
    const id = isStream ? 1 : 2 * i + 1;
    const n = first + i;
    if (!awaited.has(id)) {
      // A head in two frames.
      const whole = headersFrame(
        [
          ...([
            [":method", "POST"],
            [":scheme", "http"],
            [":authority", "weir"],
            [":path", path],
          ] as const),
          ...([
            ["content-type", "application/grpc"],
            ["grpc-encoding", "gzip"],
          ] as const),
        ],
        false,
      ).subarray(9);
      heads.push(
        frame(frameType.headers, 0, id, whole.subarray(0, 7)),
        frame(frameType.continuation, 4, id, whole.subarray(7)),
      );
    }
    awaited.set(id, [...(awaited.get(id) ?? []), n]);
    const message = isZipped ? gzipSync(encode(n, length)) : encode(n, length);
    const prefix = Buffer.alloc(5);
    prefix[0] = isZipped ? 1 : 0;
    prefix.writeUInt32BE(message.length, 1);
    const body = Buffer.concat([prefix, message]);
    const frames: Buffer[] = [];
    for (let at = 0; at < body.length; at += 16_384)
      frames.push(data(id, body.subarray(at, at + 16_384), !isStream && !endsLater && at + 16_384 >= body.length));
    if (isStream && parts.length > 0) parts[0]!.push(...frames);
    else parts.push(frames);
  }
  // The messages of a connection come by turns, frame by frame.
  const turns = Array.from({ length: Math.max(...parts.map((frames) => frames.length)) }, (_, i) =>
    parts.flatMap((frames) => frames[i] ?? []),
  );
  const ends = isStream || !endsLater ? [] : [...awaited.keys()].map((id) => data(id, Buffer.alloc(0)));
  return { bytes: Buffer.concat([hello, ...heads, ...turns.flat(), ...ends]), awaited };
}

/** The numbers that answers tell, by stream. */
function numbersIn(bytes: Buffer): Map<number, number[]> {
  const texts = new Map<number, string>();
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    const id = uint31At(bytes, at + 5);
    if (bytes[at + 3] === frameType.data) texts.set(id, (texts.get(id) ?? "") + bytes.toString("latin1", at + 9, end));
    at = end;
  }
  // Some answers tell their message in several places.
  const told = (text: string) => [...new Set([...text.matchAll(/n=(-?\d+);/g)].map(([, n]) => Number(n)))];
  return new Map([...texts].map(([id, text]) => [id, told(text)]));
}

const authority = createAuthority();

/** Lets a peer ask all it has, and gives what it was answered. */
async function ask(peer: Peer, port: number, bytes: Buffer, count: number): Promise<Map<number, number[]>> {
  const socket = peer.isTls
    ? connectTls({
        port,
        host: "127.0.0.1",
        ca: authority.cert,
        checkServerIdentity: () => undefined,
        ALPNProtocols: ["h2"],
      })
    : connect(port, "127.0.0.1");
  await once(socket, peer.isTls ? "secureConnect" : "connect");
  socket.setNoDelay(true);
  let came = Buffer.alloc(0);
  const answered = new Promise<void>((resolve, reject) => {
    const look = (): void => {
      const numbers = numbersIn(came);
      if ([...numbers.values()].flat().length >= count) resolve();
    };
    socket.on("data", (chunk: Buffer) => {
      came = Buffer.concat([came, chunk]);
      look();
    });
    socket.on("error", reject);
    socket.once("close", () => reject(new Error(`the connection was closed: ${came.toString("latin1")}`)));
  });
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const cut = peer.cuts[i % peer.cuts.length]!;
    socket.write(bytes.subarray(at, at + cut));
    at += cut;
    await setImmediate();
  }
  await answered;
  socket.destroy();
  return numbersIn(came);
}

const small = fc.record({
  lengths: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 6 }),
  cuts: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
});
const large = fc.record({
  lengths: fc.array(fc.constantFrom(0, 5, 3000, 20_000, 50_000), { minLength: 1, maxLength: 6 }),
  cuts: fc.array(fc.constantFrom(500, 16_384, 16_393, 65_536, 100_000), { minLength: 1, maxLength: 4 }),
});
const anyPeer: fc.Arbitrary<Peer> = fc
  .tuple(
    fc.constantFrom(...(Object.keys(doors) as (keyof typeof doors)[])),
    fc.record({ isTls: fc.boolean(), endsLater: fc.boolean(), isZipped: fc.boolean() }),
    fc.oneof(small, large),
  )
  .map(([door, kind, how]) => ({ door, ...kind, ...how }));

test("requests of many connections that are judged late are answered each by what it said, however its bytes came", async (t) => {
  const late = async (bag: Bag) => {
    // While it waits, the memory of its message is written again and again.
    for (let turns = numberOf(bag) % 7; turns >= 0; turns--) await setImmediate();
    return refused({ message: `n=${numberOf(bag)};` });
  };
  await fc.assert(
    fc.asyncProperty(fc.array(anyPeer, { minLength: 2, maxLength: 8 }), async (peers) => {
      const hub = fakeHub({ reads, check: late });
      const observer = recordingObserver();
      const log = recordingLog();
      const options = { open: hub.open, observer, log };
      const made = (gate: typeof openGate) =>
        createGrpcServer({
          gate,
          doors: [
            createMixerDoor(options),
            createExtAuthzDoor(options),
            createStreamDoor({ ...options, limits: { checksAtWork: 2 } }),
          ],
          limits: { messageBytes: 1024 * 1024, streamsPerConnection: 100 },
          observer,
          log,
          now: Date.now,
          monotonic: () => performance.now(),
        });
      const servers = [made(openGate), made({ ...openGate, tls: authority.issue(), guard: () => undefined })];
      try {
        const ports = await Promise.all(
          servers.map(async (server) => Number((await server.listen("127.0.0.1:0")).split(":")[1])),
        );
        await Promise.all(
          peers.map(async (peer, i) => {
            const { bytes, awaited } = written(peer, 1 + i * 1000);
            const answers = await ask(peer, ports[peer.isTls ? 1 : 0]!, bytes, peer.lengths.length);
            const sorted = (numbers: Map<number, number[]>) =>
              [...numbers].map(([id, list]) => [id, list.sort((a, b) => a - b)] as const).sort(([a], [b]) => a - b);
            t.deepEqual(sorted(answers), sorted(awaited));
          }),
        );
      } finally {
        await Promise.all(servers.map((server) => server.drain(AbortSignal.abort())));
      }
      t.deepEqual(observer.drops, []);
      t.deepEqual(
        log.lines.filter(({ level }) => level !== "debug"),
        [],
      );
      t.is(hub.live, 0);
    }),
    { numRuns: fuzzRuns(12) },
  );
});
