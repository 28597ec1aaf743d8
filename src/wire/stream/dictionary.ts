import { WeirError } from "../../util/weir-error.ts";
import { globalIndex } from "../mixer/dictionary.ts";
import { WordCache } from "../mixer/word-cache.ts";
import { Words } from "../mixer/words.ts";

/** The most words, and bytes of text, that a client's dictionary may hold. */
const maxWords = 4096;
const maxTextBytes = 256 * 1024;

/** New words as a message brings them. */
export interface NewWords {
  readonly first: number;
  readonly words: readonly string[];
}

/** Words come as text here, so nothing is ever looked up in this. */
const noCache = new WordCache(2);

/** Words of a stream name nothing twice: unlike Mixer's, one that repeats a global word leaves that as it is. */
class StreamWords extends Words {
  override isRepeated(): boolean {
    return false;
  }
}

/** The words that a client has sent on one stream. */
export class ClientDictionary {
  readonly words: Words = new StreamWords(noCache);
  #bytes = 0;

  /** Begins anew or appends. Throws WEIR_STREAM_DICTIONARY, and changes nothing, when it can do neither. */
  take({ first, words }: NewWords): void {
    const held = this.words.count;
    if (first !== 0 && first !== held) {
      throw new WeirError(
        "WEIR_STREAM_DICTIONARY",
        `the dictionary holds ${held} words, and ${first} were expected; begin anew with first: 0`,
      );
    }
    const bytes = words.reduce((sum, word) => sum + Buffer.byteLength(word), first === 0 ? 0 : this.#bytes);
    if (first + words.length > maxWords || bytes > maxTextBytes) {
      throw new WeirError(
        "WEIR_STREAM_DICTIONARY",
        `a dictionary holds at most ${maxWords} words of ${maxTextBytes} bytes; begin anew with first: 0`,
      );
    }
    if (first === 0) this.words.reset();
    for (const word of words) this.words.addText(word);
    this.#bytes = bytes;
  }
}

/** The words that the hub has sent on one stream. It begins anew before an answer when it has grown large. */
export class HubDictionary {
  readonly #indices = new Map<string, number>();
  #bytes = 0;
  /** How many words the client has of it. */
  #sent = 0;
  #fresh: string[] = [];

  /** To be called before each answer. */
  begin(): void {
    if (this.#indices.size < maxWords / 2 && this.#bytes < maxTextBytes / 2) return;
    this.#indices.clear();
    this.#bytes = 0;
    this.#sent = 0;
  }

  /** The index of a word, which may be new. */
  index(word: string): number {
    const global = globalIndex.get(word);
    if (global !== undefined) return global;
    let index = this.#indices.get(word);
    if (index === undefined) {
      index = -this.#indices.size - 1;
      this.#indices.set(word, index);
      this.#fresh.push(word);
      this.#bytes += word.length;
    }
    return index;
  }

  /** What the client has to be told with this answer, if anything. */
  fresh(): NewWords | undefined {
    if (this.#fresh.length === 0) return undefined;
    const words = this.#fresh;
    const first = this.#sent;
    this.#fresh = [];
    this.#sent += words.length;
    return { first, words };
  }
}
