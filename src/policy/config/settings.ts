import type { Listeners } from "../../listen/settings.ts";
import type { DoorSettings } from "../schema/doors.ts";

/** What `weir.yaml` says beside adapters and attributes. Every field has its default. Sizes in bytes, times in milliseconds. */
export interface Settings {
  readonly listen: Listeners;
  /** Folder of the policy files, absolute; where policies are pushed, the file that keeps a copy of them. */
  readonly policies: string;
  /** Where policies come from that are pushed; left out: they are read from the folder. */
  readonly pushed?: PushedSettings | undefined;
  /** Whether a reload may leave no policy where there were some. Default false. */
  readonly allowEmpty: boolean;
  /** Folder that relative paths of adapters are meant from, absolute. */
  readonly folder: string;
  readonly check: {
    /** How long a client may keep a decision whose rules say nothing of it. Default 5 s. */
    readonly validForMs: number;
    /** How many uses such a decision is good for. Default 10,000. */
    readonly validUses: number;
    /** How long an adapter may take for one call. Default 1 s. */
    readonly adapterTimeoutMs: number;
    /** The part of a limit with `onError: local` that this hub counts by. Left out: one over the hubs last seen. */
    readonly share?: number;
  };
  readonly limits: {
    /** The largest message or body a door takes. Default 1 MiB. */
    readonly messageBytes: number;
    /** Concurrent calls on one connection. Default 1,024. */
    readonly streamsPerConnection: number;
    /** The largest policy file. Default 1 MiB. */
    readonly policyBytes: number;
    /** The most characters of one expression. Default 16 KiB. */
    readonly expressionLength: number;
    /** The most steps that evaluating one expression may take. Default 100,000. */
    readonly expressionCost: number;
  };
  readonly doors: DoorSettings;
  readonly telemetry: {
    /** Where records wait for delivery. Default in memory. */
    readonly buffer: BufferSettings;
    /** The file that says what a kill would lose, absolute; left out: there is none. Default: one in the folder of `disk`. */
    readonly ledger?: string | undefined;
    /** What becomes of records while the buffer is away. Default `refuse`. */
    readonly whenAway: "refuse" | "memory";
    /** How long a stored record is offered to an exporter that does not take it. Default a day. */
    readonly maxAgeMs: number;
    /** Entries waiting for one adapter, beyond which records are not taken. Default 10,000. */
    readonly queueEntries: number;
    /** Which of the policies that ship with Weir hold. Default `istio`. */
    readonly mesh: "istio" | "istio-mixer" | "none";
    /** Whether metrics keep exemplars: the traces that their samples are of. Default false. */
    readonly exemplars: boolean;
    /** The hub's own spans; left out: there are none. */
    readonly traces?: TraceSettings | undefined;
    readonly decisions: {
      /** The adapter that decisions are logged to; left out: they are not. */
      readonly to?: string;
      /** Which share of the decisions that let pass is logged, 0 to 1. Default 1. */
      readonly sample: number;
      /** Which share of the refusals is logged. Default 1. */
      readonly refused: number;
      /** Names, in lower case, of attributes and keys of maps that are shown though they look like secrets. */
      readonly reveal: ReadonlySet<string>;
      /** How many of the last refusals are kept for `/refusals`. Default 1,000. */
      readonly recent: number;
    };
    readonly graph: {
      /** Over how long the service graph counts; 0: there is none. Default 5 minutes. */
      readonly windowMs: number;
      /** Default 2,000. */
      readonly maxEdges: number;
    };
  };
  readonly shutdown: {
    /** How long calls in flight and adapters may take to end. Default 10 s. */
    readonly deadlineMs: number;
  };
}

export interface PushedSettings {
  /** The adapter with the store, by its name in `weir.yaml`. */
  readonly adapter: string;
  /** The file that keeps the last set that served, absolute. */
  readonly copy: string;
}

export type BufferSettings =
  | { readonly kind: "memory" }
  | {
      readonly kind: "disk";
      /** Absolute. */
      readonly folder: string;
      /** The most bytes. Default 1 GiB. */
      readonly maxBytes: number;
      /** Whether a call waits until the disk has its records. Default true. */
      readonly sync: boolean;
    }
  /** The journal of an adapter, by its name in `weir.yaml`. */
  | { readonly kind: "journal"; readonly adapter: string };

/** Which decisions the hub makes spans of, and where these go. */
export interface TraceSettings {
  /** The adapter's name. */
  readonly to: string;
  /** The share of traces that is kept where the caller has not decided, 0 to 1. */
  readonly ratio: number;
  /** Whether a caller that has decided is followed. */
  readonly follow: boolean;
  /** The most decisions that are traced in a second. */
  readonly perSecond: number;
}
