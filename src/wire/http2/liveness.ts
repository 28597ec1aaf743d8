import type { Timers } from "../../util/timers.ts";

/** A client has this long to send its preface and settings. */
const greetingMs = 10_000;
/** A peer that says nothing for so long is pinged, and has so long to answer. */
const quietMs = 60_000;
const answerMs = 20_000;

/** Why a connection is given up. */
export type Loss = "no_preface" | "no_answer";

/** Tells when a connection's peer is not there any more. */
export class Liveness {
  readonly #timers: Timers;
  readonly #ping: () => void;
  readonly #lost: (why: Loss) => void;
  #heard = false;
  #cancel: () => void;

  /** Waits for the peer to greet. `lost` is called once at most. */
  constructor(timers: Timers, ping: () => void, lost: (why: Loss) => void) {
    this.#timers = timers;
    this.#ping = ping;
    this.#lost = lost;
    this.#cancel = timers.after(greetingMs, () => lost("no_preface"));
  }

  /** The peer has greeted: from now on it is pinged when it is quiet. */
  greeted(): void {
    this.#cancel();
    this.#watch();
  }

  /** Something came of the peer. */
  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    this.#cancel();
  }

  #watch(): void {
    this.#heard = false;
    this.#cancel = this.#timers.after(quietMs, () => {
      if (this.#heard) return this.#watch();
      this.#ping();
      this.#cancel = this.#timers.after(answerMs, () => (this.#heard ? this.#watch() : this.#lost("no_answer")));
    });
  }
}
