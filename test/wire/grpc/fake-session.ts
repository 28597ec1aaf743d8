import type { Bag, Reads } from "../../../src/attributes/bag.ts";
import { Layout } from "../../../src/attributes/layout.ts";
import { standardVocabulary } from "../../../src/attributes/standard-vocabulary.ts";
import { doorSettings, type DoorSettings } from "../../../src/policy/schema/doors.ts";
import type { Asked, Decision } from "../../../src/runtime/decision.ts";
import type { Told } from "../../../src/telemetry/rules/growth.ts";
import type { RecordOutcome } from "../../../src/telemetry/outcome.ts";
import type { OpenSession } from "../../../src/wire/session.ts";

/** What the fake hub's rules read: attributes, and keys of maps as `map[key]`; `map[*]` for a whole map. */
const defaultReads = [
  "source.ip",
  "source.namespace",
  "destination.service.name",
  "request.path",
  "request.size",
  "request.time",
  "response.duration",
  "connection.mtls",
  "request.headers[x-key]",
  "request.headers[x-none]",
  "destination.labels[*]",
];

export interface FakeHub {
  readonly open: OpenSession;
  readonly layout: Layout;
  /** Sessions that were opened and not ended. Below 0 when one was ended twice. */
  live: number;
  opened: number;
  /** Records that the door did not try. */
  notTried: number;
}

/** A hub whose decisions the test makes. */
export function fakeHub(behaviour: {
  reads?: readonly string[];
  check?: (bag: Bag, asked: Asked) => Decision | Promise<Decision>;
  report?: (bag: Bag, told?: Told) => RecordOutcome;
  ongoing?: (bag: Bag, told: Told) => void;
  commit?: () => Promise<void> | undefined;
  doors?: Partial<DoorSettings>;
  hold?: ReturnType<OpenSession>["hold"];
}): FakeHub {
  const layout = layoutOf(behaviour.reads ?? defaultReads);
  const hub: FakeHub = {
    layout,
    live: 0,
    opened: 0,
    notTried: 0,
    open: () => {
      hub.live++;
      hub.opened++;
      return {
        layout,
        reportLayout: layout,
        vocabulary: standardVocabulary,
        doors: { ...doorSettings(undefined), ...behaviour.doors },
        rateLimit: () => {
          throw new Error("this hub has no limits");
        },
        check: behaviour.check ?? (() => allowed()),
        report: behaviour.report ?? (() => "taken"),
        ...(behaviour.ongoing !== undefined && { ongoing: behaviour.ongoing }),
        commit: behaviour.commit ?? (() => undefined),
        notTried: (records) => void (hub.notTried += records),
        hold: behaviour.hold ?? (() => Promise.resolve([])),
        end: () => void hub.live--,
      };
    },
  };
  return hub;
}

/** A layout of attributes, and of keys of maps as `map[key]`; `map` and `map[*]` are a whole map. */
export function layoutOf(reads: readonly string[]): Layout {
  const layout = new Layout();
  for (const read of reads) {
    const [, name, key] = /^([^[]+)(?:\[(.*)\])?$/.exec(read)!;
    const { type } = standardVocabulary.get(name!)!;
    if (key === "*" || (key === undefined && type === "string_map")) layout.declareWhole(name!);
    else if (key === undefined) layout.declare(name!, type);
    else layout.declareKey(name!, key);
  }
  return layout;
}

export const noReads: Reads = { slots: new Uint32Array(1), dynamic: [], whole: [] };

/** A decision that allows, but for what the test says. */
export function allowed(changes: Partial<Decision> = {}): Decision {
  return {
    id: "0123456789abcdef0123456789abcdef",
    version: "v1",
    allowed: true,
    code: 0,
    message: "",
    rules: [],
    observed: [],
    requestHeaders: [],
    responseHeaders: [],
    quotas: new Map(),
    limits: [],
    validForMs: 5000,
    validUses: 10_000,
    reads: noReads,
    ...changes,
  };
}

/** A decision that refuses, but for what the test says. */
export function refused(changes: Partial<Decision> = {}): Decision {
  return allowed({
    allowed: false,
    code: 7,
    message: "only reviews may call ratings",
    rules: ["ratings/only-reviews"],
    ...changes,
  });
}

/** What a bag holds, by name and key. */
export function contents(bag: Bag): Record<string, unknown> {
  return Object.fromEntries(
    bag.layout.slots
      .map(({ index, name, key }) => [key === undefined ? name : `${name}[${key}]`, bag.peek(index)] as const)
      .filter(([, value]) => value !== undefined),
  );
}
