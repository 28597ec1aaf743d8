import { globalIndex, globalWords } from "../wire/mixer/dictionary.ts";

/** When the dictionary begins anew: well below what a hub takes, which is 4,096 words and 256 KiB. */
const manyWords = 2048;
const manyBytes = 96 * 1024;

/** New words of a dictionary, as weir.v1 has them. */
export interface NewWords {
  readonly first: number;
  readonly words: string[];
}

/** The words that were sent on a stream. */
export class SentWords {
  readonly #indices = new Map<string, number>();
  #fresh: string[] = [];
  #sent = 0;
  #bytes = 0;

  /** To be called before each message. */
  begin(): void {
    if (this.#indices.size >= manyWords || this.#bytes >= manyBytes) this.beginAnew();
  }

  /** Forgets everything: the receiver may not have what was sent. */
  beginAnew(): void {
    this.#indices.clear();
    this.#fresh = [];
    this.#sent = 0;
    this.#bytes = 0;
  }

  /** The index of a word, which may be new. */
  readonly index = (word: string): number => {
    const known = globalIndex.get(word) ?? this.#indices.get(word);
    if (known !== undefined) return known;
    const index = -this.#indices.size - 1;
    this.#indices.set(word, index);
    this.#fresh.push(word);
    this.#bytes += Buffer.byteLength(word);
    return index;
  };

  /** What the message has to bring along, if anything. */
  fresh(): NewWords | undefined {
    if (this.#fresh.length === 0) return undefined;
    const words = { first: this.#sent, words: this.#fresh };
    this.#sent += this.#fresh.length;
    this.#fresh = [];
    return words;
  }
}

/** The words that the hub has sent on a stream. */
export class HubWords {
  readonly #words: string[] = [];

  take({ first, words }: NewWords): void {
    if (first < this.#words.length) this.#words.length = first;
    for (const word of words) this.#words.push(word);
  }

  text(index: number): string {
    return (index >= 0 ? globalWords[index] : this.#words[-index - 1]) ?? "?";
  }
}
