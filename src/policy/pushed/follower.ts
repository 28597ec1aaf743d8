import type { Log, PolicyStore, PolicyStoreHost } from "../../sdk/index.ts";
import { Unreadable } from "../../util/text-file.ts";
import type { Timers } from "../../util/timers.ts";
import { readCopy, writeCopy } from "./copy.ts";
import { decodeCurrent } from "./current.ts";
import { encodeWord, type HubWord } from "./hub-word.ts";
import { decodeSet, type PushedSet } from "./pushed-set.ts";

export interface FollowerOptions {
  open(host: Pick<PolicyStoreHost, "changed">): Promise<PolicyStore>;
  /** The file that keeps the last set that served. */
  readonly copy: string;
  /** The hub's name, of letters, digits and dashes, unlike that of every other. */
  readonly hub: string;
  readonly log: Log;
  readonly timers: Timers;
  now(): number;
  /** Milliseconds of a clock that is never set. */
  monotonic(): number;
  /** Called when there is another set to load, one call at a time. */
  onChange(): Promise<void>;
}

/** Follows the policies that are pushed to a store, and says there what became of them. */
export interface Follower {
  /**
   * The set to load, or why there is none. `pushed`: the one that was pushed last, where none can be had the last that
   * served; `served`: the last that served.
   */
  set(which: "pushed" | "served"): PushedSet | Unreadable;
  /** The set that was loaded serves. */
  accepted(): Promise<void>;
  /** The set that was loaded cannot serve. Answers whether another one served before. */
  refused(problems: readonly string[]): boolean;
  /** Whether the pushed policies could be had when they were last looked for. */
  canBeHad(): boolean;
  /** From now on changes are told. */
  start(): void;
  close(): Promise<void>;
}

/** How often it is looked, and said what serves, where nothing tells of a change. */
const pollMs = 5000;

/** How many words may be on their way at once. Those on the way hold up no other: a store may have lost one of its buckets. */
const maxWords = 8;

/** Opens the store and looks for the first time. Never waits for a store that is away. */
export async function openFollower(options: FollowerOptions): Promise<Follower> {
  const { log, hub, copy, now, monotonic } = options;
  let wake: (() => void) | undefined;
  let changed = false;
  const store = await options.open({
    changed() {
      changed = true;
      wake?.();
    },
  });
  const kept = await readCopy(copy);
  if (kept instanceof Unreadable) log.warn({ copy, reason: kept.message }, "the copy of the policies cannot be read");
  let good = kept instanceof Unreadable ? undefined : kept;
  let offered: PushedSet | undefined;
  let chosen: PushedSet | undefined;
  let serves = "";
  let since: string | undefined;
  let tookMs: number | undefined;
  /** When it was heard of the set that was offered last. */
  let heardMs = monotonic();
  let refusal: HubWord["refused"];
  let away: string | undefined;
  let closed = false;

  /** Whether there is another set to load. */
  const look = async (): Promise<boolean> => {
    const lookedMs = monotonic();
    const found = await store.current();
    if (found === undefined) throw new Error("no policies were pushed yet");
    const { version } = decodeCurrent(found.bytes);
    if (version === offered?.version && version === serves) refusal = undefined;
    if (version === offered?.version || version === refusal?.version) return false;
    const bytes = await store.set(version);
    if (bytes === undefined) throw new Error(`the set ${version} is not there`);
    const set = await decodeSet(bytes, version);
    if (set instanceof Unreadable) {
      log.error({ version, reason: set.message }, "the pushed policies are refused: the old ones go on");
      refusal = { version, problems: [set.message] };
      return false;
    }
    offered = set;
    heardMs = lookedMs;
    return true;
  };
  const lookOnce = async (): Promise<boolean> => {
    try {
      const isNew = await look();
      if (away !== undefined) log.info({}, "the pushed policies can be had again");
      away = undefined;
      return isNew;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== away) log.warn({ reason }, "the pushed policies cannot be had; what serves goes on");
      away = reason;
      return false;
    }
  };
  let onTheWay = 0;
  let unsaid: string | undefined;
  const say = async (): Promise<void> => {
    if (serves === "" || onTheWay >= maxWords) return;
    onTheWay++;
    try {
      await store.tell(hub, encodeWord({ hub, serves, since, tookMs, refused: refusal, lacks: away }));
      unsaid = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      // Of a store that is away it was told before.
      if (reason !== unsaid && away === undefined && !closed)
        log.warn(
          { reason },
          "it could not be said which policies serve here: whoever pushes does not hear of this hub",
        );
      unsaid = reason;
    } finally {
      onTheWay--;
    }
  };
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const cancel = options.timers.after(pollMs, resolve);
      wake = () => {
        cancel();
        resolve();
      };
      if (changed || closed) wake();
    });
  const run = async (): Promise<void> => {
    while (!closed) {
      changed = false;
      if (await lookOnce()) await options.onChange();
      void say();
      await pause();
    }
  };
  let running: Promise<void> | undefined;
  await lookOnce();
  return {
    set(which) {
      chosen = which === "served" ? good : (offered ?? good);
      return chosen ?? new Unreadable(away ?? "what was pushed is no policy set");
    },
    async accepted() {
      const set = chosen;
      if (set === undefined) return;
      if (serves !== set.version) {
        since = new Date(now()).toISOString();
        tookMs = Math.round(monotonic() - heardMs);
      }
      serves = set.version;
      if (set === offered) refusal = undefined;
      if (set.version === good?.version) return;
      good = set;
      try {
        await writeCopy(copy, set);
      } catch (error) {
        log.warn({ copy, reason: String(error) }, "the copy of the policies could not be written");
      }
    },
    refused(problems) {
      if (chosen === undefined || chosen !== offered) return false;
      refusal = { version: chosen.version, problems: [...problems] };
      return good !== undefined && good.version !== chosen.version;
    },
    canBeHad: () => away === undefined,
    start() {
      running ??= run().catch((error: unknown) =>
        log.error({ err: error }, "pushed policies are not followed any more"),
      );
    },
    async close() {
      closed = true;
      wake?.();
      await running;
      await store.forget(hub).catch(() => undefined);
      await store.close();
    },
  };
}
