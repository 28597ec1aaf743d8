import { join, resolve } from "node:path";
import type { AttributeType } from "../../attributes/value.ts";
import { extendVocabulary } from "../../attributes/extend-vocabulary.ts";
import { standardVocabulary } from "../../attributes/standard-vocabulary.ts";
import type { Vocabulary } from "../../attributes/vocabulary.ts";
import type { Listeners } from "../../listen/settings.ts";
import { readAdapterEntries } from "./adapter-entries.ts";
import type { AdapterOptions } from "./adapter-entries.ts";
import { findAdapter, type AdapterNames } from "./adapter-names.ts";
import { doorSettings } from "../schema/doors.ts";
import { listenersOf } from "./listeners.ts";
import type { BufferSettings, PushedSettings, Settings, TraceSettings } from "./settings.ts";
import type { tryCredentials } from "./try-credentials.ts";
import type { Located, Reading } from "../shape/shape.ts";
import { weirShape } from "../schema/weir.ts";
import type { RawProduced, RawWeir } from "../schema/weir.ts";
import type { Node } from "../yaml/node.ts";

/** The addresses that are used instead of what `weir.yaml` says. */
export interface ListenOverrides {
  readonly grpc?: string | undefined;
  readonly http?: string | undefined;
  readonly admin?: string | undefined;
}

/** An attribute that an adapter makes, as weir.yaml has it. */
export interface WrittenProduction {
  readonly name: string;
  readonly raw: RawProduced;
  readonly reading: Reading;
}

/** What `weir.yaml` says, with its defaults. */
export interface Config {
  readonly settings: Settings;
  readonly vocabulary: Vocabulary;
  readonly adapters: AdapterNames;
  /** Attributes that adapters make, as they are written. */
  readonly produced: readonly WrittenProduction[];
}

export interface ConfigOptions extends AdapterOptions {
  readonly listen?: ListenOverrides | undefined;
  /** Folder of the policy files instead of the one that the file names. */
  readonly policies?: string | undefined;
  /** Reads the files of certificates and tokens and tells what is wrong with them. Left out: they are not read. */
  readonly tryCredentials?: typeof tryCredentials | undefined;
}

/** Reads `weir.yaml`; without a document everything has its default. Problems are told; what they touch has its default. */
export async function readConfig(
  documents: readonly Node[],
  reading: Reading | undefined,
  options: ConfigOptions,
): Promise<Config> {
  const second = documents[1];
  if (second !== undefined)
    reading?.tell(second, { code: "WEIR_POLICY_SHAPE", message: "weir.yaml holds one document; this is the second" });
  const raw = documents[0] && reading && weirShape.read(documents[0], reading);
  const vocabulary = vocabularyOf(raw, reading);
  const listeners = listenersOf(raw?.listen, vocabulary, reading, options);
  if (raw !== undefined && reading !== undefined) tellBodyBeyondMessage(raw, reading);
  if (reading !== undefined) await options.tryCredentials?.(raw?.listen, listeners, reading);
  const adapters = await readAdapterEntries(raw?.adapters?.entries ?? [], reading, options);
  const buffer = raw?.telemetry?.buffer;
  const settings = settingsOf(raw, listeners, options);
  if (settings.telemetry.buffer.kind === "journal" && reading !== undefined && buffer !== undefined)
    findAdapter(adapters, reading, buffer.node, buffer.value, "journal");
  const from = raw?.policies?.pushed?.from;
  if (from !== undefined && reading !== undefined) tellNoStore(from, adapters, reading);
  const to = raw?.telemetry?.traces?.to;
  if (to !== undefined && reading !== undefined) findAdapter(adapters, reading, to.node, to.value, "spans");
  const log = raw?.telemetry?.decisions?.to;
  if (log !== undefined && reading !== undefined) findAdapter(adapters, reading, log.node, log.value, "logs");
  return { settings, vocabulary, adapters, produced: producedOf(raw, reading) };
}

function settingsOf(raw: RawWeir | undefined, listeners: Listeners, { policies, folder }: ConfigOptions): Settings {
  const pushed = pushedOf(raw, folder);
  return {
    listen: listeners,
    policies: policies ?? pushed?.copy ?? resolve(folder, raw?.policies?.folder?.value ?? "./policies"),
    ...(pushed === undefined ? {} : { pushed }),
    allowEmpty: raw?.allowEmpty?.value ?? false,
    folder,
    check: {
      validForMs: raw?.check?.validFor?.value ?? 5000,
      validUses: raw?.check?.validUses?.value ?? 10_000,
      adapterTimeoutMs: raw?.check?.adapterTimeout?.value ?? 1000,
      ...(raw?.check?.share === undefined ? {} : { share: raw.check.share.value }),
    },
    limits: {
      messageBytes: raw?.limits?.message?.value ?? defaultMessageBytes,
      streamsPerConnection: raw?.limits?.streams?.value ?? 1024,
      policyBytes: raw?.limits?.policy?.value ?? defaultPolicyBytes,
      expressionLength: raw?.limits?.expression?.value ?? 16 * 1024,
      expressionCost: raw?.limits?.cost?.value ?? 100_000,
    },
    doors: doorSettings(raw?.doors),
    telemetry: {
      buffer: bufferOf(raw?.telemetry, folder),
      ...ledgerOf(raw?.telemetry, folder),
      whenAway: raw?.telemetry?.whenAway?.value ?? "refuse",
      maxAgeMs: raw?.telemetry?.maxAge?.value ?? 86_400_000,
      queueEntries: raw?.telemetry?.queue?.value ?? 10_000,
      mesh: raw?.telemetry?.mesh?.value ?? "istio",
      exemplars: raw?.telemetry?.exemplars?.value ?? false,
      ...tracesOf(raw?.telemetry?.traces),
      decisions: {
        sample: raw?.telemetry?.decisions?.sample?.value ?? 1,
        refused: raw?.telemetry?.decisions?.refused?.value ?? 1,
        reveal: new Set(raw?.telemetry?.decisions?.reveal?.items.map(({ value }) => value.toLowerCase())),
        recent: raw?.telemetry?.decisions?.recent?.value ?? 1000,
        ...(raw?.telemetry?.decisions?.to === undefined ? {} : { to: raw.telemetry.decisions.to.value }),
      },
      graph: {
        windowMs: raw?.telemetry?.graph?.window?.value ?? 300_000,
        maxEdges: raw?.telemetry?.graph?.edges?.value ?? 2000,
      },
    },
    shutdown: { deadlineMs: raw?.shutdown?.deadline?.value ?? 10_000 },
  };
}

function producedOf(raw: RawWeir | undefined, reading: Reading | undefined): readonly WrittenProduction[] {
  if (reading === undefined) return [];
  return (raw?.attributes?.entries ?? []).flatMap(({ name, value: { produced } }) =>
    produced === undefined ? [] : [{ name, raw: produced, reading }],
  );
}

function pushedOf(raw: RawWeir | undefined, folder: string): PushedSettings | undefined {
  const pushed = raw?.policies?.pushed;
  if (pushed?.from === undefined) return undefined;
  return { adapter: pushed.from.value, copy: resolve(folder, pushed.copy?.value ?? "./pushed-policies.gz") };
}

/** Whether the adapter that policies are to come from can be one, which is told. */
function tellNoStore(from: Located<string>, adapters: AdapterNames, reading: Reading): void {
  const entry = adapters.get(from.value);
  if (entry?.adapter.policyStore !== undefined || (entry === undefined && adapters.has(from.value))) return;
  const able = [...adapters.values()].filter((each) => each?.adapter.policyStore !== undefined);
  const names = able.map((each) => each!.name).join(", ");
  reading.tell(from.node, {
    code: entry === undefined ? "WEIR_POLICY_UNKNOWN_ADAPTER" : "WEIR_POLICY_CAPABILITY",
    message:
      entry === undefined
        ? `no adapter is called "${from.value.slice(0, 100)}"`
        : `no policies can be pushed to the adapter "${from.value}"`,
    hint: names === "" ? "name one of the kind nats under adapters:" : `the ones that can be pushed to are ${names}`,
  });
}

function bufferOf(raw: RawWeir["telemetry"], folder: string): BufferSettings {
  const name = raw?.buffer?.value ?? "memory";
  if (name === "memory") return { kind: "memory" };
  if (name !== "disk") return { kind: "journal", adapter: name };
  return {
    kind: "disk",
    folder: resolve(folder, raw?.disk?.folder?.value ?? "./buffer"),
    maxBytes: raw?.disk?.maxSize?.value ?? 1024 ** 3,
    sync: raw?.disk?.sync?.value ?? true,
  };
}

function ledgerOf(raw: RawWeir["telemetry"], folder: string): { readonly ledger?: string } {
  const path = raw?.ledger?.value;
  if (path === "none") return {};
  if (path !== undefined) return { ledger: resolve(folder, path) };
  const buffer = bufferOf(raw, folder);
  return buffer.kind === "disk" ? { ledger: join(buffer.folder, "ledger") } : {};
}

function tracesOf(raw: NonNullable<RawWeir["telemetry"]>["traces"]): { readonly traces?: TraceSettings } {
  if (raw?.to === undefined) return {};
  const traces = {
    to: raw.to.value,
    ratio: raw.ratio?.value ?? 0.01,
    follow: raw.follow?.value ?? true,
    perSecond: raw.perSecond?.value ?? 100,
  };
  return { traces };
}

const defaultMessageBytes = 1024 * 1024;

/** What a message holds beside a body: the headers that Envoy takes by default (60 KiB), and the rest. */
const besideBodyBytes = 128 * 1024;

/**
 * A body that makes a message too large is a call that fails, which a proxy may have been told to let pass: its caller
 * could get by every rule with a large body.
 */
function tellBodyBeyondMessage({ doors, limits }: RawWeir, reading: Reading): void {
  const body = doors?.body;
  const message = limits?.message?.value ?? defaultMessageBytes;
  if (body === undefined || body.value + besideBodyBytes <= message) return;
  reading.tell(body.node, {
    code: "WEIR_POLICY_SHAPE",
    message: "a body of this size does not fit into a message with the headers beside it",
    hint: `limits.message must be larger by ${besideBodyBytes / 1024}KiB or more; it is ${message} bytes`,
  });
}

/** The largest policy file, and the largest `weir.yaml`, in bytes. */
export const defaultPolicyBytes = 1024 * 1024;

function vocabularyOf(raw: RawWeir | undefined, reading: Reading | undefined): Vocabulary {
  const own: Record<string, AttributeType> = Object.create(null) as Record<string, AttributeType>;
  for (const { name, value } of raw?.attributes?.entries ?? [])
    if (value.type !== undefined) own[name] = value.type.value;
  const { vocabulary, conflicts } = extendVocabulary(standardVocabulary, own);
  for (const { name, message } of conflicts) {
    const entry = raw?.attributes?.entries.find((each) => each.name === name);
    if (entry !== undefined) reading?.tell(entry.key, { code: "WEIR_POLICY_SHAPE", message });
  }
  return vocabulary;
}
