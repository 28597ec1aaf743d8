import test, { type ExecutionContext } from "ava";
import {
  type Attributes,
  type DoorCase,
  doorCases,
  type DoorName,
  doorPolicies,
  encodedSlashCases,
  pathCases,
} from "../cases/doors/same-verdict.ts";
import { askers, type Verdict } from "./door-askers.ts";
import { startHub, type Hub } from "./hub.ts";

let hub: Hub;
/** One that refuses paths with an encoded slash. */
let strict: Hub;

test.before(async () => {
  const adapters = "adapters: { partners: { adapter: list, entries: [acme] } }\n";
  [hub, strict] = await Promise.all([
    startHub({ "weir.yaml": adapters, "policies/all.yaml": doorPolicies }),
    startHub({ "weir.yaml": `doors: { encodedSlash: refuse }\n${adapters}`, "policies/all.yaml": doorPolicies }),
  ]);
});

test.after.always(() => {
  hub?.dispose();
  strict?.dispose();
});

/** Asks at all doors and holds what each says against what the HTTP door says, which says all there is. */
async function sameAtEachDoor(
  t: ExecutionContext,
  attributes: Attributes,
  { notAt = [], restsOnAbsentMap }: Pick<DoorCase, "notAt" | "restsOnAbsentMap"> = {},
): Promise<Verdict> {
  const expected = await askers.HTTP(hub, attributes);
  for (const [door, ask] of Object.entries(askers)) {
    if (notAt.includes(door as DoorName)) continue;
    const verdict: { -readonly [K in keyof Verdict]: Verdict[K] } = await ask(hub, attributes);
    if (restsOnAbsentMap && door === "Mixer") {
      t.is(verdict.validUses, 0);
      delete verdict.validUses;
      delete verdict.validForMs;
    }
    const shared = Object.fromEntries(Object.keys(verdict).map((key) => [key, expected[key as keyof Verdict]]));
    t.deepEqual(verdict as object, shared, door);
  }
  return expected;
}

for (const { title, given, code, message, http = "", ...doors } of doorCases) {
  test(`${title}: the same verdict at each door`, async (t) => {
    const verdict = await sameAtEachDoor(t, given, doors);
    t.is(verdict.code, code);
    t.is(verdict.http, http);
    if (message !== undefined) t.regex(verdict.message!, message);
  });
}

for (const [path, denyList, allowList] of pathCases) {
  test(`the path ${JSON.stringify(path)}: the same verdict at each door`, async (t) => {
    for (const [service, code] of [
      ["deny-list", denyList],
      ["allow-list", allowList],
    ] as const) {
      const verdict = await sameAtEachDoor(t, { "destination.service.name": service, "request.path": path });
      t.is(verdict.code, code, service);
      // The doors that take attributes by name are told of the path that services see, as its sender wrote it.
      const given = { "destination.service.name": service, "request.url_path": path };
      t.is(
        (await sameAtEachDoor(t, given, { notAt: ["ext_authz", "authz"] })).code,
        code,
        `${service}, request.url_path`,
      );
    }
  });
}

for (const [path, code] of encodedSlashCases) {
  test(`the path ${JSON.stringify(path)} where an encoded slash is refused: the same verdict at each door`, async (t) => {
    for (const [door, ask] of Object.entries(askers)) {
      const { allowed, status } = await ask(strict, { "destination.service.name": "nobody", "request.path": path });
      t.deepEqual([allowed, status], code === 0 ? [true, 200] : [false, 400], door);
    }
  });
}

test("all doors charge the same count", async (t) => {
  const attributes = { "destination.service.name": "limits", "source.principal": "ann" };
  const verdicts: Verdict[] = [];
  for (const ask of Object.values(askers)) verdicts.push(await ask(hub, attributes));
  t.deepEqual(
    verdicts.map(({ status }) => status),
    [200, 200, 429, 429, 429],
  );
});
