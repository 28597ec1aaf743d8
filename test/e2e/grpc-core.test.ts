import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import test from "ava";
import { CheckResponse } from "../../src/wire/gen/istio/mixer/v1/mixer.ts";
import { CheckRequest as StreamCheck } from "../../src/wire/gen/weir/v1/weir.ts";
import { hubFor } from "./clients.ts";
import { projectRoot } from "./hub.ts";
import { leashed } from "./leash.ts";
import { checkRequest, word } from "./mixer-wire.ts";
import { peers } from "./peers.ts";
import { notRun } from "./programs.ts";

interface Line {
  readonly what: string;
  readonly [fact: string]: unknown;
}

test("gRPC's C core, from Python, calls the hub in every way", async (t) => {
  t.timeout(200_000);
  const found = await peers.grpcCore();
  if ("gap" in found) return notRun(t, found);
  const hub = await hubFor(t, {
    "policies/acl.yaml": `policy: acl\nmatch: destination.service.name == "acl"\ncheck:\n  - name: closed\n    deny: permission_denied\n    message: closed\n`,
  });
  const wire = { words: ["acl"], strings: { [word["destination.service.name"]]: -1 } };
  const padding = { words: ["acl", "x".repeat(900_000)], strings: wire.strings };
  const streamed = StreamCheck.encode(StreamCheck.fromPartial({ index: 7n })).finish();
  const messages = [checkRequest(wire), checkRequest(padding), streamed].map((each) =>
    Buffer.from(each).toString("hex"),
  );
  const child = spawn(...leashed("python3", [join(projectRoot, "test/e2e/python-client.py"), hub.grpc]), {
    env: { ...process.env, PYTHONPATH: join(found.path, "../..") },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(messages.join("\n"));
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  await once(child, "close");
  const lines = new Map(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line)
      .map((line) => [line.what, line]),
  );
  for (const what of ["one", "gzip", "deflate", "metadata", "large"]) {
    const line = lines.get(what);
    t.is(line?.["code"], 0, `${what} ${stderr}`);
    const { precondition } = CheckResponse.decode(Buffer.from(line!["answer"] as string, "hex"));
    t.like(precondition!.status, { code: 7, message: "closed" }, what);
  }
  const refused = {
    "too large": [8, /WEIR_REQUEST_TOO_LARGE/],
    malformed: [3, /MALFORMED/],
    unknown: [12, /no such/],
  } as const;
  for (const [what, [code, details]] of Object.entries(refused)) {
    t.is(lines.get(what)?.["code"], code, what);
    t.regex(lines.get(what)!["details"] as string, details, what);
  }
  t.like(lines.get("many"), { answers: 3000 });
  t.like(lines.get("watch"), { answer: "0801" });
  t.is(lines.get("deadline")?.["code"], 4);
  t.like(lines.get("stream"), { answers: 2000 }, stderr);
});
