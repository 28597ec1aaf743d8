import type { Log } from "./host.ts";

/**
 * Where policy sets lie that are pushed to all hubs: the sets, one value each, and one value that names the set which
 * holds. What the bytes mean is not the store's business. A method rejects when the store cannot be reached; none waits
 * without bound.
 */
export interface PolicyStore {
  /** Makes what is missing of it. Only who pushes needs it, and the permission for it. */
  prepare(): Promise<void>;
  /** The largest value that it takes, in bytes. */
  maxBytes(): number;
  /** What names the set that holds, and its revision; `undefined`: nothing was pushed yet. */
  current(): Promise<{ readonly bytes: Uint8Array; readonly revision: number } | undefined>;
  /** Replaces what names the set, if it still has the revision (0: there is none). Answers whether it had. */
  replace(bytes: Uint8Array, revision: number): Promise<boolean>;
  /** A set by its version, a text of letters and digits. */
  set(version: string): Promise<Uint8Array | undefined>;
  putSet(version: string, bytes: Uint8Array): Promise<void>;
  dropSet(version: string): Promise<void>;
  /** Says what a hub does with the policies. It is forgotten some 30 s after it was last said. */
  tell(hub: string, bytes: Uint8Array): Promise<void>;
  forget(hub: string): Promise<void>;
  /**
   * Hears what hubs say, until the answered function is called: first what each said last, for all that are not forgotten,
   * then what they say from now on, as they say it. Resolves when the former was heard.
   */
  hubs(heard: (said: HubSaid) => void): Promise<() => void>;
  close(): Promise<void>;
}

/** What a hub said of its policies. */
export interface HubSaid {
  readonly hub: string;
  /** What it said; `undefined`: that it goes. */
  readonly bytes: Uint8Array | undefined;
  /** How long ago that was, in milliseconds by the store's own clock. */
  readonly agoMs: number;
}

/** What a store may use of the hub. */
export interface PolicyStoreHost {
  /** The name of the entry in `weir.yaml`. */
  readonly name: string;
  /** The folder that relative paths are meant from: where `weir.yaml` lies. */
  readonly folder: string;
  readonly log: Log;
  /**
   * Called when the store is reached, again and at first, and when the set that holds may be another. Must not throw. Left
   * out by whoever does one piece of work: nothing is followed then.
   */
  readonly changed?: (() => void) | undefined;
}
